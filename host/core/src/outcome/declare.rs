//! The macro that declares outcomes.

/// Declares an enum of outcomes.
///
/// Each has a code, which is listed in `codes.txt` beside this file and never used for anything
/// else; what is filled in; and its words. Its comment is the cause and what to do, as
/// FAILURES.md has it in the table that is named behind `in`; one without a comment shares that
/// of the one before it.
///
/// ```
/// use switch_root_core::outcome::{Message, Outcomes};
///
/// switch_root_core::outcomes! {
///     /// Why a file is not read: what follows its name in a sentence.
///     pub enum Unreadable in "files" {
///         /// It is damaged.
///         "SR-F02" Reading { error: std::io::Error } = "cannot be read: {error}",
///         /// It is another kind of file.
///         "SR-F05" NotRegular = "is not a regular file",
///     }
/// }
///
/// fn read() -> Result<(), Message> {
///     Err(Unreadable::NotRegular)?
/// }
///
/// let message = read().unwrap_err();
/// assert_eq!(message.text, "is not a regular file");
/// assert_eq!(message.code.unwrap().to_string(), "SR-F05");
/// assert_eq!(Unreadable::TABLE.rows[0].message, "cannot be read: {error}");
/// ```
#[macro_export]
macro_rules! outcomes {
    (
        $(#[doc = $about:literal])*
        $(#[derive($($derived:ident),+)])?
        $visible:vis enum $name:ident in $section:literal {
            $(
                $(#[doc = $remedy:literal])*
                $code:literal $outcome:ident $({ $($field:ident: $type:ty),+ $(,)? })? = $words:literal
            ),+ $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(::thiserror::Error)]
        $(#[derive($($derived),+)])?
        // What a field is its place in the words says.
        #[allow(missing_docs)]
        $visible enum $name {
            $(
                $(#[doc = $remedy])*
                #[error($words)]
                $outcome $({ $($field: $type),+ })?,
            )+
        }

        /// For places whose failures are texts still.
        impl From<$name> for String {
            fn from(outcome: $name) -> Self {
                $crate::outcome::text(&outcome)
            }
        }

        /// Its words: what is in it is of no use to anybody without them.
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl $crate::outcome::Outcomes for $name {
            const TABLE: $crate::outcome::Table = $crate::outcome::Table {
                name: stringify!($name),
                section: $section,
                rows: &[$($crate::outcome::Row {
                    code: $crate::outcome::Code::declared($code),
                    message: $words,
                    remedy: &[$($remedy),*],
                }),+],
            };

            fn code(&self) -> $crate::outcome::Code {
                match self {
                    $(Self::$outcome { .. } => const { $crate::outcome::Code::declared($code) },)+
                }
            }
        }
    };
}
