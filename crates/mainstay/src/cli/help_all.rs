//! `mainstay help-all`: the reference of the command line, written from its definitions.

use super::{Cli, Failure, output};
use clap::{Arg, Command, CommandFactory};
use std::fmt::Write;
use std::process::ExitCode;

const HEAD: &str = "# Commands\n\n<!-- Written by `mainstay help-all`. Do not edit. -->\n\n\
    Each command ends with status 0 when it did what was asked, 1 when not, 2 when it was not\n\
    understood. With `--output json` the result is one JSON document on standard output, also when\n\
    it is an error: `{\"error\": {\"code\", \"what\", \"advice\"}}`.\n";

pub fn run() -> Result<ExitCode, Failure> {
    output::say(&markdown());
    Ok(ExitCode::SUCCESS)
}

fn markdown() -> String {
    let mut root = Cli::command();
    root.build();
    let mut out = HEAD.to_owned();
    let _ = write!(out, "\n## Options of every command\n\n");
    options(&mut out, root.get_arguments().filter(|arg| arg.is_global_set()));
    commands(&mut out, "mainstay", &root);
    out
}

fn commands(out: &mut String, path: &str, parent: &Command) {
    for command in parent.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        let path = format!("{path} {}", command.get_name());
        let mut usage = command.clone().bin_name(&path);
        let usage = usage.render_usage().to_string();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = write!(
            out,
            "\n## `{path}`\n\n{about}\n\n`{}`\n\n",
            usage.trim_start_matches("Usage: ")
        );
        options(out, command.get_arguments().filter(|arg| !arg.is_global_set()));
        commands(out, &path, command);
    }
}

fn options<'a>(out: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    for argument in arguments.filter(|a| !a.is_hide_set() && a.get_id() != "help") {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let env = argument.get_env().map(|name| format!("; or `{}`", name.to_string_lossy()));
        let _ =
            writeln!(out, "- `{argument}`: {help}{}{}", default(argument), env.unwrap_or_default());
    }
}

fn default(argument: &Arg) -> String {
    let shown = argument.get_action().takes_values() && !argument.is_hide_default_value_set();
    match argument.get_default_values().first().filter(|_| shown) {
        Some(value) => format!(" (`{}` when left out)", value.to_string_lossy()),
        None => String::new(),
    }
}
