//! The plan as a list: one path a line, for `grep` and `diff`.

use preview::plan::Report;
use switch_root_core::escape;

/// Every path behind what becomes of it, with a tabulator between both.
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut todo = vec![(&report.tree, b"/".to_vec())];
    while let Some((branch, path)) = todo.pop() {
        text.push_str(&format!(
            "{}\t{}\n",
            branch.fate.word(),
            escape::path(&path)
        ));
        // By name, which the last that is pushed comes first of.
        for child in branch.children.iter().rev() {
            todo.push((child, switch_root_core::path::join(&path, &child.name.0)));
        }
    }
    text
}
