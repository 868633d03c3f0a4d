//! What a notifier delivers, as real servers and programs receive it.

mod alertmanager;
mod command;
mod email;
mod support;
mod webhook;
