//! Shell completions and the manual page.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{arguments::Cli, failure::Exit};

pub(crate) fn completions(shell: Shell, out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bearer-token", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Success)
}

/// The page of the command, followed by those of its subcommands.
pub(crate) fn page(out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for subcommand in command.get_subcommands() {
        let man = clap_mangen::Man::new(subcommand.clone());
        writeln!(out, ".SH \"BEARER-TOKEN {}\"", subcommand.get_name().to_uppercase())?;
        man.render_description_section(out)?;
        man.render_options_section(out)?;
    }
    Ok(Exit::Success)
}
