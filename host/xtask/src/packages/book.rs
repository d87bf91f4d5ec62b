//! The book as it is installed: its pages in a folder of the documents, where links to other
//! documents lead to where those are installed.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::files;
use crate::run::{files_below, workspace};

/// Where the pages are in the repository, and installed.
const PAGES: (&str, &str) = ("host/book", "usr/share/doc/switch-root/book");

/// Writes the pages below a root. `installed` are other documents, by their paths in the
/// repository and in the root.
///
/// # Errors
/// What cannot be read or written.
pub fn write(root: &Path, installed: &[(PathBuf, PathBuf)]) -> Result<()> {
    for file in files_below(&workspace().join(PAGES.0))? {
        let page = file.strip_prefix(workspace())?;
        let text =
            fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let text = led(&text, page, installed);
        files::write(&root.join(place(page)?), text.as_bytes(), false)?;
    }
    Ok(())
}

/// Where a page is installed.
fn place(page: &Path) -> Result<PathBuf> {
    Ok(Path::new(PAGES.1).join(page.strip_prefix(PAGES.0)?))
}

/// A page whose links to installed documents lead there. Those to other pages do already, and
/// what is installed nowhere, such as the sources, they name by its place in them.
fn led(text: &str, page: &Path, installed: &[(PathBuf, PathBuf)]) -> String {
    let mut links = text.split("](");
    let mut led = links.next().unwrap_or_default().to_owned();
    for link in links {
        led.push_str("](");
        let end = link.find([')', '#', '\n']).unwrap_or(link.len());
        let (target, rest) = link.split_at(end);
        let there = leads_to(page, target).and_then(|of| {
            let (_, there) = installed.iter().find(|(document, _)| *document == of)?;
            from_to(&place(page).ok()?, there)
        });
        led.push_str(there.as_deref().unwrap_or(target));
        led.push_str(rest);
    }
    led
}

/// The document of the repository that a link of a page leads to.
fn leads_to(page: &Path, link: &str) -> Option<PathBuf> {
    let mut path = page.parent()?.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            _ => return None,
        }
    }
    Some(path)
}

/// The link from one file to another.
fn from_to(from: &Path, to: &Path) -> Option<String> {
    let folder = from.parent()?;
    let shared = folder.ancestors().find(|above| to.starts_with(above))?;
    let up = folder.strip_prefix(shared).ok()?.components().count();
    let down = to.strip_prefix(shared).ok()?.to_str()?;
    Some("../".repeat(up) + down)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_where_documents_are_installed() {
        let doc = "usr/share/doc/switch-root";
        let installed = [
            ("wit/policy.wit".into(), Path::new(doc).join("policy.wit")),
            (
                "host/srctl/PLAN.md".into(),
                "usr/share/doc/srctl/PLAN.md".into(),
            ),
        ];
        let page = Path::new("host/book/how-to/a.md");
        for (link, expected) in [
            ("[w](../../../wit/policy.wit)", "[w](../../policy.wit)"),
            (
                "[p](../../srctl/PLAN.md#a) [p](../x.md)",
                "[p](../../../srctl/PLAN.md#a) [p](../x.md)",
            ),
            (
                "[s](../../srctl/src/a.rs) `a](b`",
                "[s](../../srctl/src/a.rs) `a](b`",
            ),
            ("[up](../../../../../out)", "[up](../../../../../out)"),
            ("[u](https://a.example/b)", "[u](https://a.example/b)"),
            ("[same](#here)", "[same](#here)"),
        ] {
            assert_eq!(led(link, page, &installed), expected);
        }
    }

    #[test]
    fn every_page_is_installed_and_leads_to_what_is() {
        let root = tempfile::tempdir().unwrap();
        let installed = crate::packages::tree::documents().unwrap();
        for (document, there) in &installed {
            let to = root.path().join(there);
            files::copy(&workspace().join(document), &to, false).unwrap();
        }
        write(root.path(), &installed).unwrap();
        let pages = root.path().join(PAGES.1);
        let mut links = 0;
        for file in files_below(&pages).unwrap() {
            let text = fs::read_to_string(&file).unwrap();
            for target in text.split("](").skip(1) {
                let end = target.find([')', '#', '\n']).unwrap_or(target.len());
                let target = &target[..end];
                // Out of the documents nothing is installed: those are the sources.
                let document = [".md", ".wit", ".json"]
                    .iter()
                    .any(|it| target.ends_with(it));
                if !document || target.contains("://") {
                    continue;
                }
                let there = file.parent().unwrap().join(target);
                links += usize::from(there.exists());
                let source = file.strip_prefix(&pages).unwrap();
                let of_source = leads_to(&Path::new(PAGES.0).join(source), target);
                let left = of_source
                    .is_some_and(|of| !of.starts_with(PAGES.0) && workspace().join(of).exists());
                assert!(there.exists() || left, "{}: {target}", file.display());
            }
        }
        assert!(links > 100, "{links}");
        assert!(pages.join("README.md").exists() && pages.join("how-to/install.md").exists());
    }
}
