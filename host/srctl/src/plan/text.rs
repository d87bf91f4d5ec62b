//! The plan for people: a tree that fits the terminal, the policies, the extensions, and
//! the sum.

use initramfs::tree::Sum;
use preview::plan::{Branch, Fate, Report};
use switch_root_core::plan::Deletion;
use switch_root_core::text::{bytes, count};

use crate::extension::verdict_tone;
use crate::style::{Stream, Tone, paint_if, wanted};
use crate::table::{plain_table, toned_table};

/// The width where there is no terminal, in characters.
const WIDTH: usize = 120;
/// Less than that is not used.
const NARROW: usize = 40;
/// Entries of one directory that survive and are shown.
const SURVIVING: usize = 60;
/// Entries of one directory that are deleted and are shown, the largest ones; more of
/// the root.
const DELETED: usize = 5;
const DELETED_OF_ROOT: usize = 24;

/// How the plan is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Characters of a line.
    pub width: usize,
    /// Directories within each other that are shown.
    pub depth: usize,
    /// Nothing is left out, and no line shortened.
    pub full: bool,
    /// It goes to a terminal that shows colours.
    pub coloured: bool,
}

impl Layout {
    /// For a terminal, or for a file.
    pub fn new(depth: Option<usize>, full: bool, to_file: bool) -> Self {
        let terminal = terminal_size::terminal_size().filter(|_| !to_file);
        Self {
            width: match terminal {
                _ if full => usize::MAX,
                Some((width, _)) => usize::from(width.0).max(NARROW),
                None => WIDTH,
            },
            depth: depth.unwrap_or(usize::MAX),
            full,
            coloured: !to_file && wanted(Stream::Output),
        }
    }

    fn table<const COLUMNS: usize>(
        self,
        headings: [&str; COLUMNS],
        rows: &[[String; COLUMNS]],
        tone: impl Fn(usize, &str) -> Option<Tone>,
    ) -> String {
        match self.coloured {
            true => toned_table(headings, rows, tone),
            false => plain_table(headings, rows),
        }
    }
}

/// The colour of a disposition: what goes has none, since most does.
fn tone(fate: Fate) -> Option<Tone> {
    match fate {
        Fate::Keep | Fate::Carry => Some(Tone::Good),
        Fate::Part => Some(Tone::Caution),
        Fate::Delete => None,
    }
}

/// The whole plan.
pub fn text(report: &Report, layout: Layout) -> String {
    let mut text = head(report, layout);
    let mut rows = Vec::new();
    let mut root = Row::of(&report.tree, String::new());
    root.left = "/".into();
    rows.push(root);
    branches(&report.tree, "", layout.depth, layout, &mut rows);
    text.push_str(&lay_out(&rows, layout));
    text.push('\n');
    text.push_str(&policies(report, layout));
    if !report.extensions.is_empty() {
        text.push('\n');
        text.push_str(&extensions(report, layout));
    }
    text.push('\n');
    text.push_str(&sums(report, layout));
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// What comes first: the image, and what nobody may miss.
fn head(report: &Report, layout: Layout) -> String {
    let paint = |tone, words| paint_if(layout.coloured, tone, words);
    let image = &report.image;
    let mut text = image.name.clone();
    if !image.parts.is_empty() {
        let parts: Vec<String> = image
            .parts
            .iter()
            .map(|part| format!("{} {}", part.format, bytes(part.length)))
            .collect();
        text.push_str(&format!(": {} ({})", bytes(image.bytes), parts.join(", ")));
    }
    text.push('\n');
    if let Some(reason) = &report.refused {
        let words = paint(Tone::Bad, "THE SWITCH WOULD BE REFUSED");
        text.push_str(&format!("{words}: {reason}\n"));
    } else if let Deletion::Skip(reason) = &report.deletion {
        let words = paint(Tone::Bad, "NOTHING WOULD BE DELETED");
        text.push_str(&format!("{words}: {reason}\n"));
    }
    for what in &report.unknown {
        let words = paint(Tone::Caution, "NOT KNOWN");
        text.push_str(&format!("{words}: {what}\n"));
    }
    text.push('\n');
    text
}

/// A line of the tree.
struct Row {
    left: String,
    fate: Fate,
    size: String,
    notes: String,
}

/// What stays of something: bytes and files.
#[derive(Clone, Copy, Default)]
struct Stays {
    bytes: u64,
    files: u64,
}

impl Stays {
    fn of(branch: &Branch) -> Self {
        match branch.fate {
            Fate::Delete => Self::default(),
            Fate::Keep | Fate::Carry => Self {
                bytes: branch.bytes,
                files: branch.files,
            },
            Fate::Part => Self::of_all(branch.children.iter()),
        }
    }

    fn of_all<'a>(branches: impl Iterator<Item = &'a Branch>) -> Self {
        branches
            .map(Self::of)
            .fold(Self::default(), |sum, one| Self {
                bytes: sum.bytes + one.bytes,
                files: sum.files + one.files,
            })
    }

    fn note(self) -> String {
        format!(
            "stays: {} in {}",
            bytes(self.bytes),
            count(self.files, "file", "files")
        )
    }
}

impl Row {
    fn of(branch: &Branch, prefix: String) -> Self {
        let directory = branch.kind == "directory";
        let slash = if directory { "/" } else { "" };
        let mut notes = Vec::new();
        if let Some(to) = &branch.to {
            notes.push(format!("to {to}"));
        }
        if !branch.by.is_empty() {
            notes.push(format!("by {}", branch.by.join(", ")));
        }
        if branch.in_use {
            notes.push("its memory stays in use".into());
        }
        if branch.fate == Fate::Part {
            notes.push(Stays::of(branch).note());
        } else if directory && branch.children.is_empty() {
            notes.push(count(branch.files, "file", "files"));
        }
        Self {
            left: format!("{prefix}{}{slash}", branch.name),
            fate: branch.fate,
            size: bytes(branch.bytes),
            notes: notes.join("; "),
        }
    }

    /// Several of one disposition that are not shown.
    fn folded(branches: &[&Branch], prefix: String, fate: Fate) -> Self {
        let files: u64 = branches.iter().map(|branch| branch.files).sum();
        let size: u64 = branches.iter().map(|branch| branch.bytes).sum();
        let mut notes = count(files, "file", "files");
        if fate == Fate::Part {
            let stays = Stays::of_all(branches.iter().copied());
            notes.push_str(&format!("; {}", stays.note()));
        }
        Self {
            left: format!("{prefix}{} more", branches.len()),
            fate,
            size: bytes(size),
            notes,
        }
    }
}

/// One entry of a directory, or several that are folded.
enum Shown<'a> {
    One(&'a Branch),
    Folded(Vec<&'a Branch>, Fate),
}

/// How many entries of a directory are shown.
#[derive(Clone, Copy)]
struct Choice {
    surviving: usize,
    deleted: usize,
}

impl Layout {
    fn choice(self, root: bool) -> Choice {
        let most = |number| if self.full { usize::MAX } else { number };
        Choice {
            surviving: most(SURVIVING),
            deleted: most(if root { DELETED_OF_ROOT } else { DELETED }),
        }
    }
}

fn branches(branch: &Branch, prefix: &str, depth: usize, here: Layout, rows: &mut Vec<Row>) {
    if depth == 0 {
        return;
    }
    let root = prefix.is_empty();
    let shown = choose(&branch.children, here.choice(root));
    for (position, one) in shown.iter().enumerate() {
        let last = position + 1 == shown.len();
        let (corner, below) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let left = format!("{prefix}{corner}");
        match one {
            Shown::One(child) => {
                rows.push(Row::of(child, left));
                branches(child, &format!("{prefix}{below}"), depth - 1, here, rows);
            }
            Shown::Folded(children, fate) => rows.push(Row::folded(children, left, *fate)),
        }
    }
}

/// What is shown of a directory, by name: what survives, and the largest of the rest.
fn choose(children: &[Branch], most: Choice) -> Vec<Shown<'_>> {
    let (surviving, mut deleted): (Vec<&Branch>, Vec<&Branch>) = children
        .iter()
        .partition(|child| child.fate != Fate::Delete);
    deleted.sort_by_key(|child| std::cmp::Reverse(child.bytes));
    // One line for one that is left over says less than its name.
    let cut = |count: usize, most: usize| match count <= most.saturating_add(1) {
        true => count,
        false => most,
    };
    let folded = deleted.split_off(cut(deleted.len(), most.deleted));
    let (surviving, crowd) = surviving.split_at(cut(surviving.len(), most.surviving));
    let mut one: Vec<&Branch> = surviving.iter().copied().chain(deleted).collect();
    one.sort_by(|a, b| a.name.cmp(&b.name));
    let mut shown: Vec<Shown<'_>> = one.into_iter().map(Shown::One).collect();
    for fate in [Fate::Keep, Fate::Carry, Fate::Part] {
        let crowd = crowd.iter().copied().filter(|child| child.fate == fate);
        let crowd: Vec<&Branch> = crowd.collect();
        if !crowd.is_empty() {
            shown.push(Shown::Folded(crowd, fate));
        }
    }
    if !folded.is_empty() {
        shown.push(Shown::Folded(folded, Fate::Delete));
    }
    shown
}

/// The rows in columns; what is too long for the width is cut, with `…` where something
/// is missing.
fn lay_out(rows: &[Row], layout: Layout) -> String {
    let width = layout.width;
    let longest = rows.iter().map(|row| row.left.chars().count()).max();
    let left = longest.unwrap_or(0).min(width.saturating_sub(20).max(20));
    let mut text = String::new();
    for row in rows {
        let name = cut(&row.left, left);
        let word = row.fate.word();
        let line = format!("{name:<left$}  {word:<6}  {:>9}  {}", row.size, row.notes);
        let line = cut(&line, width);
        let line = line.trim_end();
        // What is before it is as wide as the longest name, and was not cut.
        match tone(row.fate).filter(|_| layout.coloured) {
            None => text.push_str(line),
            Some(tone) => {
                let (before, after) = line.split_at(line.len().min(name_end(line, left)));
                let (found, rest) = after.split_at(word.len().min(after.len()));
                text.push_str(before);
                text.push_str(&paint_if(true, tone, found));
                text.push_str(rest);
            }
        }
        text.push('\n');
    }
    text
}

/// Where the disposition begins in a line, in bytes, behind a name of so many characters.
fn name_end(line: &str, left: usize) -> usize {
    let mut ends = line.char_indices().map(|(at, _)| at);
    ends.nth(left + 2).unwrap_or(line.len())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn policies(report: &Report, layout: Layout) -> String {
    let rows: Vec<_> = report
        .policies
        .iter()
        .map(|policy| {
            let failures = policy.failures.iter();
            let failures = failures.map(|failure| format!("failed: it {}", failure.message));
            let warnings = policy.warnings.iter().cloned();
            let words: Vec<String> = failures.chain(warnings).collect();
            [
                policy.name.clone(),
                policy.origin.clone(),
                policy.answers.join(", "),
                words.join("; "),
            ]
        })
        .collect();
    layout.table(["POLICY", "FROM", "ANSWERS", ""], &rows, |_, _| None)
}

fn extensions(report: &Report, layout: Layout) -> String {
    let rows: Vec<_> = report
        .extensions
        .iter()
        .map(|one| {
            let reasons: Vec<String> = one
                .reasons
                .iter()
                .map(|reason| format!("{}: {}", reason.policy, reason.reason))
                .collect();
            [
                one.image.clone(),
                one.name.clone(),
                one.version.clone(),
                one.word().to_owned(),
                reasons.join("; "),
            ]
        })
        .collect();
    let headings = ["LAYER", "NAME", "VERSION", "VERDICT", "REASON"];
    layout.table(headings, &rows, |column, cell| match column {
        3 => verdict_tone(cell),
        _ => None,
    })
}

fn sums(report: &Report, layout: Layout) -> String {
    let summary = &report.summary;
    let row = |what: &str, sum: &Sum| {
        [
            what.to_owned(),
            count(sum.files, "file", "files"),
            match sum.directories {
                1 => "1 directory".into(),
                many => format!("{many} directories"),
            },
            bytes(sum.bytes),
        ]
    };
    let mut rows = vec![
        row("keep", &summary.kept),
        row("carry", &summary.carried),
        row("delete", &summary.deleted),
    ];
    if summary.in_use.files > 0 {
        rows.push(row("  of that in use", &summary.in_use));
    }
    rows.push(row("all", &summary.total));
    layout.table(["SUM", "", "", ""], &rows, |_, _| None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(name: &str, fate: Fate, bytes: u64, children: Vec<Branch>) -> Branch {
        Branch {
            name: name.as_bytes().into(),
            kind: if children.is_empty() {
                "file"
            } else {
                "directory"
            },
            bytes,
            files: 1,
            fate,
            by: Vec::new(),
            to: None,
            in_use: false,
            children,
        }
    }

    fn layout(width: usize, full: bool) -> Layout {
        Layout {
            width,
            depth: 9,
            full,
            coloured: false,
        }
    }

    #[test]
    fn what_is_folded_is_counted_by_its_disposition() {
        let part = |number: u32| {
            let children = vec![
                branch("keep", Fate::Keep, 1, Vec::new()),
                branch("big", Fate::Delete, 1000, Vec::new()),
            ];
            let mut part = branch(&format!("t{number:02}"), Fate::Part, 1001, children);
            part.files = 2;
            part
        };
        let mut children: Vec<Branch> = (0..80).map(part).collect();
        children.push(branch("z1", Fate::Keep, 5, Vec::new()));
        children.push(branch("z2", Fate::Carry, 7, Vec::new()));
        let directory = branch("d", Fate::Part, 0, children);
        let mut rows = Vec::new();
        branches(&directory, "│  ", 1, layout(60, false), &mut rows);
        let said = |row: &Row| {
            format!(
                "{} {} {} {}",
                row.left,
                row.fate.word(),
                row.size,
                row.notes
            )
        };
        let folded: Vec<String> = rows[60..].iter().map(said).collect();
        assert_eq!(
            folded,
            [
                "│  ├─ 1 more keep 5 B 1 file",
                "│  ├─ 1 more carry 7 B 1 file",
                "│  └─ 20 more part 19.6 KiB 40 files; stays: 20 B in 20 files",
            ]
        );
        assert_eq!(rows[0].notes, "stays: 1 B in 1 file");
        let mut rows = Vec::new();
        branches(&directory, "│  ", 9, layout(usize::MAX, true), &mut rows);
        assert_eq!(rows.len(), 80 * 3 + 2);
    }

    #[test]
    fn colours_change_no_line_of_the_tree() {
        let names = ["größe", "a"];
        let children = names.map(|name| branch(name, Fate::Keep, 1, Vec::new()));
        let root = branch("/", Fate::Part, 2, children.into());
        let mut rows = Vec::new();
        branches(&root, "", 9, layout(60, false), &mut rows);
        let coloured = Layout {
            coloured: true,
            ..layout(60, false)
        };
        let coloured = lay_out(&rows, coloured);
        assert_eq!(
            coloured.matches("\x1b[32mkeep\x1b[0m").count(),
            2,
            "{coloured}"
        );
        let plain = coloured.replace("\x1b[32m", "").replace("\x1b[0m", "");
        assert_eq!(plain, lay_out(&rows, layout(60, false)));
    }

    #[test]
    fn many_that_are_deleted_are_folded_and_what_survives_is_not() {
        let mut children: Vec<Branch> = (0..40u8)
            .map(|number| {
                branch(
                    &format!("f{number:02}"),
                    Fate::Delete,
                    number.into(),
                    Vec::new(),
                )
            })
            .collect();
        children.push(branch("a", Fate::Keep, 0, Vec::new()));
        let directory = branch("d", Fate::Part, 0, children);
        let mut rows = Vec::new();
        branches(&directory, "│  ", 9, layout(60, false), &mut rows);
        let left: Vec<&str> = rows.iter().map(|row| &*row.left).collect();
        assert_eq!(
            left,
            [
                "│  ├─ a",
                "│  ├─ f35",
                "│  ├─ f36",
                "│  ├─ f37",
                "│  ├─ f38",
                "│  ├─ f39",
                "│  └─ 35 more"
            ]
        );
        assert_eq!(rows[6].size, "595 B");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = "n".repeat(300);
        let root = branch(
            "/",
            Fate::Part,
            1,
            vec![branch(&long, Fate::Keep, 1, Vec::new())],
        );
        let mut rows = Vec::new();
        branches(&root, "", 9, layout(60, false), &mut rows);
        let text = lay_out(&rows, layout(60, false));
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        assert!(text.contains("…  keep"), "{text}");
    }
}
