mod pgoutput;
