//! Plays one scene in namespaces of its own: `supervisor STAGING-DIRECTORY`, the scene
//! as JSON on standard input, `{"Ok": outcome}` or `{"Err": sentence}` as JSON on
//! standard output. `supervisor --check` says whether that is possible here.

use std::path::Path;
use std::process::ExitCode;

use switch_root_tests::supervise;

fn main() -> ExitCode {
    let argument = std::env::args_os().nth(1).unwrap_or_default();
    let answer = if argument == "--check" {
        serde_json::to_string(&supervise::check().map_err(|error| error.to_string()))
    } else {
        let result = serde_json::from_reader(std::io::stdin().lock())
            .map_err(std::io::Error::from)
            .and_then(|scene| supervise::play(&scene, Path::new(&argument)));
        serde_json::to_string(&result.map_err(|error| error.to_string()))
    };
    match answer {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("writing the outcome as JSON: {error}");
            ExitCode::FAILURE
        }
    }
}
