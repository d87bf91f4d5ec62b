//! `srctl config`: edits a machine configuration, and leaves the rest of it as it
//! is, comments included.

use std::io::Write;
use std::path::Path;

use extension::output::AtomicFile;
use extension::{Error, Result, edit};

use crate::command::{Config, Edit};
use crate::input;
use crate::outcome::Outcome;
use crate::print::print;

/// Runs one of the commands.
pub fn run(command: &Config) -> Result<Outcome> {
    let options = match command {
        Config::AddExtension(options) | Config::RemoveExtension(options) => options,
    };
    let text = input::read_text(&options.file)?;
    let file = options.file.display().to_string();
    let edited = match command {
        Config::AddExtension(_) => edit::add_extension(&text, &file, &options.image)?,
        Config::RemoveExtension(_) => edit::remove_extension(&text, &file, &options.image.text)?,
    };
    write(options, &edited)?;
    Ok(Outcome::Fine)
}

fn write(options: &Edit, text: &str) -> Result<()> {
    let target = options.output.as_ref().unwrap_or(&options.file);
    if target == Path::new("-") {
        return print(text);
    }
    let output = AtomicFile::create(target)?;
    // It holds secrets: who could not read the file cannot read the new one.
    let before = std::fs::metadata(&options.file).map_err(|error| {
        Error::system(format!("cannot read {}", options.file.display()), &error)
    })?;
    output.look_like(&before)?;
    output
        .as_file()
        .write_all(text.as_bytes())
        .map_err(|error| Error::system(format!("cannot write {}", target.display()), &error))?;
    output.commit()
}
