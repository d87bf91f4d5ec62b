//! What a page of Markdown shows in fenced blocks, and what becomes of each in a test.
//!
//! The words behind the opening fence say so:
//!
//! | words | what becomes of the block |
//! |---|---|
//! | `sh` | its commands are run on this machine, in the page's shell |
//! | `sh PLACE` | they are run in another one of [`PLACES`] |
//! | `... status=N` | its one command ends with this status |
//! | `sh WORD` | it is not run, for the reason that [`NOT_RUN`] gives the word |
//! | `LANGUAGE PATH` | it is written to a file, which the text before it names in backticks |
//! | `text` | right behind commands: what these print, where `…` stands for any text |
//! | one of [`SHOWN`] | it is shown, and nothing else |
//!
//! Any other words are an error: a block that nobody looks at goes stale.

use std::fmt;

/// Where commands are run but on this machine.
pub const PLACES: [&str; 1] = ["debian"];

/// Why commands are not run, by the word that says so.
pub const NOT_RUN: [(&str, &str); 4] = [
    (
        "builds",
        "it builds or tests the workspace, which this test is a part of",
    ),
    ("restarts", "it restarts the machine, or needs one that was"),
    (
        "elsewhere",
        "it is for a distribution whose tools Debian lacks",
    ),
    ("initramfs", "it is for the shell of an initramfs"),
];

/// Languages of blocks that are read by people alone.
const SHOWN: [&str; 7] = ["c", "ini", "json", "rust", "text", "toml", "yaml"];

/// What stands for any text in what commands print.
const ANYTHING: char = '…';

/// What becomes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Commands that are run.
    Commands {
        /// One of [`PLACES`]; `None` for this machine.
        place: Option<&'static str>,
        /// How its one command ends, where that is not 0.
        status: Option<i32>,
    },
    /// What the commands of the block before it print.
    Output,
    /// The contents of a file.
    File(String),
    /// Commands that are not run, and why.
    NotRun(&'static str),
    /// Shown, and nothing else.
    Shown,
}

/// A block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    /// What becomes of it.
    pub part: Part,
    /// What stands between its fences.
    pub text: String,
}

/// What is wrong with a page, and in which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    line: usize,
    reason: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.reason)
    }
}

/// The blocks of a page.
///
/// # Errors
/// A block that does not end, or of which it is not clear what becomes of it.
pub fn blocks(page: &str) -> Result<Vec<Block>, Wrong> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut before = String::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, content)) = lines.next() {
        let Some(words) = content.trim_start().strip_prefix("```") else {
            before.push_str(content);
            before.push('\n');
            continue;
        };
        let wrong = |reason: String| Wrong { line, reason };
        let indent = content.len() - content.trim_start().len();
        let mut text = String::new();
        loop {
            let Some((_, content)) = lines.next() else {
                return Err(wrong("the block has no end".into()));
            };
            if content.trim() == "```" {
                break;
            }
            let blank = content.len() - content.trim_start().len();
            text.push_str(&content[blank.min(indent)..]);
            text.push('\n');
        }
        let follows = before.trim().is_empty().then(|| blocks.last()).flatten();
        let part = part(words.trim(), &text, &before, follows).map_err(wrong)?;
        blocks.push(Block { line, part, text });
        before.clear();
    }
    Ok(blocks)
}

/// What becomes of a block: `before` is what stands between it and the one before it, and
/// `follows` that one where nothing does.
fn part(words: &str, text: &str, before: &str, follows: Option<&Block>) -> Result<Part, String> {
    let (language, word) = match words.split_once(' ') {
        Some((language, word)) => (language, Some(word.trim())),
        None => (words, None),
    };
    let behind_commands = follows.is_some_and(|block| matches!(block.part, Part::Commands { .. }));
    match (language, word) {
        (_, Some(path)) if path.contains(['.', '/']) => {
            match before.contains(&format!("`{path}`")) {
                true => Ok(Part::File(path.to_owned())),
                false => Err(format!(
                    "the text before the block does not say that it is `{path}`"
                )),
            }
        }
        ("sh", None) => Ok(Part::Commands {
            place: None,
            status: None,
        }),
        ("sh", Some(words)) => commands_of(words, text),
        ("text", None) if behind_commands => Ok(Part::Output),
        (language, None) if SHOWN.contains(&language) => Ok(Part::Shown),
        _ => Err(format!("nobody knows what becomes of a block `{words}`")),
    }
}

/// What becomes of commands, by the words behind `sh`.
fn commands_of(words: &str, text: &str) -> Result<Part, String> {
    if let Some((_, reason)) = NOT_RUN.iter().find(|(name, _)| *name == words) {
        return Ok(Part::NotRun(reason));
    }
    let (mut place, mut status) = (None, None);
    for word in words.split(' ') {
        let known = PLACES.into_iter().find(|place| *place == word);
        let ending = word.strip_prefix("status=").map(str::parse);
        match (known, ending) {
            (Some(known), _) if place.is_none() => place = Some(known),
            (None, Some(Ok(number))) if status.is_none() => status = Some(number),
            _ => return Err(format!("nobody knows what `sh {words}` is")),
        }
    }
    if status.is_some() && !one_command(text) {
        return Err("a block that has a status has one command".into());
    }
    Ok(Part::Commands { place, status })
}

/// Whether a text is one line, or several of which all but the last go on.
fn one_command(text: &str) -> bool {
    let mut ends = text.lines().filter(|line| !line.ends_with('\\'));
    ends.next().is_some() && ends.next().is_none()
}

/// Whether something that was printed is what a page shows. Blanks at the ends of lines do
/// not count.
pub fn prints(shown: &str, printed: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        let lines = text.trim_end().lines();
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    all_match(&lines(shown), &lines(printed))
}

fn all_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "…" => {
            (0..=printed.len()).any(|skipped| all_match(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, more)| line_matches(first, line) && all_match(rest, more)),
    }
}

fn line_matches(shown: &str, mut printed: &str) -> bool {
    let mut parts = shown.split(ANYTHING);
    let beginning = parts.next().unwrap_or_default();
    let mut parts: Vec<&str> = parts.collect();
    let Some(end) = parts.pop() else {
        return shown == printed;
    };
    match printed.strip_prefix(beginning) {
        Some(rest) => printed = rest,
        None => return false,
    }
    for part in parts {
        match printed.split_once(part) {
            Some((_, rest)) => printed = rest,
            None => return false,
        }
    }
    printed.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(page: &str) -> Result<Vec<Part>, String> {
        let blocks = blocks(page).map_err(|wrong| wrong.to_string())?;
        Ok(blocks.into_iter().map(|block| block.part).collect())
    }

    #[test]
    fn what_becomes_of_blocks_is_read() {
        let page = "\
# Page
```sh
echo a
```
```text
a
```
In `a/b.yaml`:
```yaml a/b.yaml
x: 1
```
- in a list
  ```sh status=3
  srctl plan a \\
    b
  ```
```sh builds
cargo xtask test
```
```text
not compared
```
```sh debian status=1
false
```
";
        let commands = |status| Part::Commands {
            place: None,
            status,
        };
        let found = blocks(page).unwrap();
        assert_eq!(
            parts(page).unwrap(),
            [
                commands(None),
                Part::Output,
                Part::File("a/b.yaml".into()),
                commands(Some(3)),
                Part::NotRun(NOT_RUN[0].1),
                Part::Shown,
                Part::Commands {
                    place: Some("debian"),
                    status: Some(1),
                },
            ]
        );
        assert_eq!((found[0].line, found[0].text.as_str()), (2, "echo a\n"));
        assert_eq!(found[3].text, "srctl plan a \\\n  b\n");
    }

    #[test]
    fn a_block_of_which_nothing_is_known_is_an_error() {
        for (page, words) in [
            ("```\nx\n```", "line 1: nobody knows"),
            ("\n```bash\nx\n```", "line 2: nobody knows"),
            ("```sh later\nx\n```", "`sh later`"),
            ("```sh debian later\nx\n```", "`sh debian later`"),
            ("```sh status=3\nx\ny\n```", "one command"),
            ("```yaml a.yaml\nx\n```", "does not say"),
            ("```sh\nx\n", "no end"),
        ] {
            let error = parts(page).unwrap_err();
            assert!(error.contains(words), "{page}: {error}");
        }
    }

    #[test]
    fn what_is_printed_is_compared_but_for_what_is_left_open() {
        for (shown, printed, same) in [
            ("a\nb\n", "a \nb\n\n", true),
            ("a\n", "a\nb\n", false),
            ("a … c … e\n", "a b c d e\n", true),
            ("a … c\n", "a b c d\n", false),
            ("a…\n…\nz\n", "abc\nm\nn\nz\n", true),
            ("a\n…\nz\n", "a\nz\n", true),
            ("…\nz\n", "a\nb\n", false),
            ("a… b", "a", false),
        ] {
            assert_eq!(prints(shown, printed), same, "{shown:?} {printed:?}");
        }
    }
}
