//! One component of a pattern, and whether it matches a name.

/// What stands between two `/` of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Component {
    /// `**`: any number of whole components. Decided by the walk, since it matches no name in
    /// particular.
    AnyDepth,
    /// A name without anything special: by far the most common, and one comparison.
    Literal(Vec<u8>),
    /// A name with wildcards.
    Wild(Vec<Token>),
}

/// What a name with wildcards is made of.
#[derive(Clone, Debug)]
pub(super) enum Token {
    /// One certain byte.
    Byte(u8),
    /// `?`
    AnyByte,
    /// `*`
    AnyBytes,
    /// `[...]`: one byte inside, or outside, these ranges (first and last byte included).
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

impl Component {
    /// Whether a single name matches. Takes at most the product of both lengths, in bytes and
    /// tokens: a name that does not match can't make it backtrack exponentially.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Component::AnyDepth => false,
            Component::Literal(literal) => literal == name,
            Component::Wild(tokens) => wild(tokens, name),
        }
    }
}

/// What follows the last `*` can only match the end of the name, so that is looked at first: of
/// the names in a directory most do not match `*.conf`, and that is found out in a few steps.
fn wild(tokens: &[Token], name: &[u8]) -> bool {
    let last_star = tokens
        .iter()
        .rposition(|token| matches!(token, Token::AnyBytes));
    let Some(last_star) = last_star else {
        return singles(tokens, name);
    };
    let (tokens, tail) = tokens.split_at(last_star + 1);
    let Some(split) = name.len().checked_sub(tail.len()) else {
        return false;
    };
    let (name, end) = name.split_at(split);
    singles(tail, end) && up_to_star(tokens, name)
}

/// Matches tokens that stand for one byte each.
fn singles(tokens: &[Token], name: &[u8]) -> bool {
    tokens.len() == name.len()
        && tokens
            .iter()
            .zip(name)
            .all(|(token, byte)| token.matches(*byte))
}

/// Matches tokens of which the last one is a `*`. Where it fails after a `*`, only that one is
/// tried again with one byte more: what an earlier one could take differently, the latest one
/// can make up for.
fn up_to_star(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut byte) = (0, 0);
    let mut latest_star = None;
    loop {
        match (tokens.get(token), name.get(byte)) {
            (None, _) => return true,
            (Some(Token::AnyBytes), _) => {
                token += 1;
                latest_star = Some((token, byte));
            }
            (Some(single), Some(&next)) if single.matches(next) => {
                token += 1;
                byte += 1;
            }
            (Some(_), None) => return false,
            (Some(_), Some(_)) => {
                let Some((after_star, taken)) = latest_star else {
                    return false;
                };
                latest_star = Some((after_star, taken + 1));
                (token, byte) = (after_star, taken + 1);
            }
        }
    }
}

impl Token {
    fn matches(&self, byte: u8) -> bool {
        match self {
            Token::Byte(literal) => *literal == byte,
            Token::AnyByte | Token::AnyBytes => true,
            Token::Class { negated, ranges } => {
                let inside = ranges
                    .iter()
                    .any(|&(first, last)| first <= byte && byte <= last);
                inside != *negated
            }
        }
    }
}
