//! The plan for people: a tree that fits the terminal, the policies, the extensions, and
//! the sum.

use image::plan::{Branch, Fate, Report};
use image::tree::Sum;
use policy::consequence::Deletion;
use policy::text::bytes;

use crate::table::{count, plain_table, table};

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
    /// It goes to a file, which has no colours.
    pub plain: bool,
}

impl Layout {
    /// For a terminal, or for a file.
    pub fn new(depth: Option<usize>, plain: bool) -> Self {
        let terminal = terminal_size::terminal_size().filter(|_| !plain);
        Self {
            width: terminal.map_or(WIDTH, |(width, _)| usize::from(width.0).max(NARROW)),
            depth: depth.unwrap_or(usize::MAX),
            plain,
        }
    }

    fn table<const COLUMNS: usize>(
        self,
        headings: [&str; COLUMNS],
        rows: &[[String; COLUMNS]],
    ) -> String {
        match self.plain {
            true => plain_table(headings, rows),
            false => table(headings, rows),
        }
    }
}

/// The whole plan.
pub fn text(report: &Report, layout: Layout) -> String {
    let mut text = head(report);
    let mut rows = Vec::new();
    let mut root = Row::of(&report.tree, String::new());
    root.left = "/".into();
    rows.push(root);
    branches(&report.tree, "", layout.depth, true, &mut rows);
    text.push_str(&lay_out(&rows, layout.width));
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
    text
}

/// What comes first: the image, and what nobody may miss.
fn head(report: &Report) -> String {
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
        text.push_str(&format!("THE SWITCH WOULD BE REFUSED: {reason}\n"));
    } else if let Deletion::Skip(reason) = &report.deletion {
        text.push_str(&format!("NOTHING WOULD BE DELETED: {reason}\n"));
    }
    text.push('\n');
    text
}

/// A line of the tree.
struct Row {
    left: String,
    fate: &'static str,
    size: String,
    notes: String,
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
        if directory && branch.fate != Fate::Part && branch.children.is_empty() {
            notes.push(count(branch.files as usize, "file"));
        }
        Self {
            left: format!("{prefix}{}{slash}", branch.name),
            fate: branch.fate.word(),
            size: bytes(branch.bytes),
            notes: notes.join("; "),
        }
    }

    /// Several that are not shown.
    fn folded(branches: &[&Branch], prefix: String, fate: Fate) -> Self {
        let files: u64 = branches.iter().map(|branch| branch.files).sum();
        let size: u64 = branches.iter().map(|branch| branch.bytes).sum();
        Self {
            left: format!("{prefix}{} more", branches.len()),
            fate: fate.word(),
            size: bytes(size),
            notes: count(files as usize, "file"),
        }
    }
}

/// One entry of a directory, or several that are folded.
enum Shown<'a> {
    One(&'a Branch),
    Folded(Vec<&'a Branch>, Fate),
}

fn branches(branch: &Branch, prefix: &str, depth: usize, root: bool, rows: &mut Vec<Row>) {
    if depth == 0 {
        return;
    }
    let shown = choose(&branch.children, root);
    for (position, one) in shown.iter().enumerate() {
        let last = position + 1 == shown.len();
        let (corner, below) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let here = format!("{prefix}{corner}");
        match one {
            Shown::One(child) => {
                rows.push(Row::of(child, here));
                branches(child, &format!("{prefix}{below}"), depth - 1, false, rows);
            }
            Shown::Folded(children, fate) => rows.push(Row::folded(children, here, *fate)),
        }
    }
}

/// What is shown of a directory, by name: what survives, and the largest of the rest.
fn choose(children: &[Branch], root: bool) -> Vec<Shown<'_>> {
    let (surviving, mut deleted): (Vec<&Branch>, Vec<&Branch>) = children
        .iter()
        .partition(|child| child.fate != Fate::Delete);
    deleted.sort_by_key(|child| std::cmp::Reverse(child.bytes));
    let most = if root { DELETED_OF_ROOT } else { DELETED };
    // One line for one that is left over says less than its name.
    let cut = |count: usize, most: usize| if count <= most + 1 { count } else { most };
    let folded = deleted.split_off(cut(deleted.len(), most));
    let (surviving, crowd) = surviving.split_at(cut(surviving.len(), SURVIVING));
    let mut one: Vec<&Branch> = surviving.iter().copied().chain(deleted).collect();
    one.sort_by(|a, b| a.name.cmp(&b.name));
    let mut shown: Vec<Shown<'_>> = one.into_iter().map(Shown::One).collect();
    if !crowd.is_empty() {
        shown.push(Shown::Folded(crowd.to_vec(), Fate::Keep));
    }
    if !folded.is_empty() {
        shown.push(Shown::Folded(folded, Fate::Delete));
    }
    shown
}

/// The rows in columns; what is too long for the width is cut, with `…` where something
/// is missing.
fn lay_out(rows: &[Row], width: usize) -> String {
    let longest = rows.iter().map(|row| row.left.chars().count()).max();
    let left = longest.unwrap_or(0).min(width.saturating_sub(20).max(20));
    let mut text = String::new();
    for row in rows {
        let name = cut(&row.left, left);
        let line = format!(
            "{name:<left$}  {:<6}  {:>9}  {}",
            row.fate, row.size, row.notes
        );
        text.push_str(cut(&line, width).trim_end());
        text.push('\n');
    }
    text
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
            let failures: Vec<String> = policy
                .failures
                .iter()
                .map(|failure| format!("failed: it {}", failure.message))
                .collect();
            let words = [failures, policy.warnings.clone()].concat();
            [
                policy.name.clone(),
                policy.origin.clone(),
                policy.answers.join(", "),
                words.join("; "),
            ]
        })
        .collect();
    layout.table(["POLICY", "FROM", "ANSWERS", ""], &rows)
}

fn extensions(report: &Report, layout: Layout) -> String {
    let rows: Vec<_> = report
        .extensions
        .iter()
        .map(|one| {
            let verdict = format!("{:?}", one.verdict).to_lowercase();
            let reasons: Vec<String> = one
                .reasons
                .iter()
                .map(|reason| format!("{}: {}", reason.policy, reason.reason))
                .collect();
            [
                one.image.clone(),
                one.name.clone(),
                one.version.clone(),
                verdict,
                reasons.join("; "),
            ]
        })
        .collect();
    layout.table(["LAYER", "NAME", "VERSION", "VERDICT", "REASON"], &rows)
}

fn sums(report: &Report, layout: Layout) -> String {
    let summary = &report.summary;
    let row = |what: &str, sum: &Sum| {
        [
            what.to_owned(),
            count(sum.files as usize, "file"),
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
    layout.table(["SUM", "", "", ""], &rows)
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
        branches(&directory, "", 9, false, &mut rows);
        let left: Vec<&str> = rows.iter().map(|row| &*row.left).collect();
        assert_eq!(
            left,
            [
                "├─ a",
                "├─ f35",
                "├─ f36",
                "├─ f37",
                "├─ f38",
                "├─ f39",
                "└─ 35 more"
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
        branches(&root, "", 9, true, &mut rows);
        let text = lay_out(&rows, 60);
        assert!(
            text.lines().all(|line| line.chars().count() <= 60),
            "{text}"
        );
        assert!(text.contains("…  keep"), "{text}");
    }
}
