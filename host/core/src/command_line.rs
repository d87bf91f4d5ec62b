//! The kernel command line, as the kernel splits it.

/// What the parameters of this program begin with.
pub const PREFIX: &str = "switch_root.";

/// A parameter of this program as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The whole word, without its quotes.
    pub word: String,
    /// Its name after [`PREFIX`], with underscores for dashes, which are as good.
    pub name: String,
    /// What follows the `=`; absent where there is none.
    pub value: Option<String>,
}

/// The words of a command line up to `--`: what follows that is for the init. They are split
/// at white space outside double quotes.
pub fn words(command_line: &str) -> impl Iterator<Item = String> + '_ {
    let mut characters = command_line.chars().peekable();
    let all = std::iter::from_fn(move || {
        while characters.next_if(char::is_ascii_whitespace).is_some() {}
        characters.peek()?;
        let mut word = String::new();
        let mut quoted = false;
        while let Some(c) = characters.next_if(|c| quoted || !c.is_ascii_whitespace()) {
            if c == '"' {
                quoted = !quoted;
            } else {
                word.push(c);
            }
        }
        Some(word)
    });
    all.take_while(|word| word != "--")
}

/// A word as a parameter of this program; nothing where it is none.
pub fn ours(word: String) -> Option<Given> {
    let rest = word.strip_prefix(PREFIX)?;
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (rest, None),
    };
    let name = name.replace('-', "_");
    Some(Given { word, name, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_a_word_together() {
        assert_eq!(
            words(" a \"b c\"d  e=\"f g\"\u{a0}h -- i").collect::<Vec<_>>(),
            ["a", "b cd", "e=f g\u{a0}h"]
        );
    }

    #[test]
    fn parameters_have_a_name_and_may_have_a_value() {
        let given = |word: &str| ours(word.to_owned()).map(|it| (it.name, it.value));
        assert_eq!(given("quiet"), None);
        assert_eq!(
            given("switch_root.keep-initramfs"),
            Some(("keep_initramfs".into(), None))
        );
        assert_eq!(
            given("switch_root.root=/a=b"),
            Some(("root".into(), Some("/a=b".into())))
        );
    }
}
