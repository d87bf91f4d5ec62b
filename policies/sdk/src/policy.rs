//! The traits that a policy implements, and the macro that registers it.

use core::marker::PhantomData;

use crate::bindings;
use crate::{Decision, Entry, Extension, HostFacts, Verdict};

/// Decides which paths of the initramfs survive.
pub trait Preservation {
    /// Answers for each entry of one directory, in the order of `entries`.
    ///
    /// The host asks once for `/`, and then once for each directory that was answered with
    /// [`Decision::Descend`]. `directory` is absolute, and ends with `/` only where it is the
    /// root; `entries` comes in byte order of the names, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// A sentence for the operator. The review has failed then, and unless the policy's sidecar
    /// says otherwise nothing is deleted at all. An answer that is not exactly as long as
    /// `entries` is a failed review too.
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String>;
}

/// Decides whether system extensions may be activated on this machine.
pub trait Compatibility {
    /// Answers for each extension, in the order of `extensions`: all of them at once, so that
    /// duplicates, conflicts and dependencies between them can be judged.
    ///
    /// # Errors
    ///
    /// A sentence for the operator. The review has failed then, and unless the policy's sidecar
    /// says otherwise none of these extensions is activated. An answer that is not exactly as
    /// long as `extensions` is a failed review too.
    fn review(host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String>;
}

/// Takes the settings that the operator gave to the policy.
pub trait Settings {
    /// Called once for each instance, before any question. `json` is the text of the value of
    /// `settings` in the policy's sidecar file, or `{}` where there is none.
    ///
    /// What a review needs of it goes into a [`Configuration`](crate::Configuration).
    ///
    /// # Errors
    ///
    /// A sentence for the operator that says which setting is wrong and what it should be. Every
    /// question that the policy would have answered is a failed review then.
    fn configure(json: &str) -> Result<(), String>;
}

/// Stands between the exports of the component and the policy `P`, so that policies see
/// borrowed lists and need no name of the generated code.
#[doc(hidden)]
pub struct Exported<P>(PhantomData<P>);

impl<P: Preservation> bindings::preservation::exports::switch_root::policy::preservation::Guest
    for Exported<P>
{
    fn review(directory: Vec<u8>, entries: Vec<Entry>) -> Result<Vec<Decision>, String> {
        begin();
        P::review(&directory, &entries)
    }
}

impl<P: Compatibility> bindings::compatibility::exports::switch_root::policy::compatibility::Guest
    for Exported<P>
{
    fn review(host: HostFacts, extensions: Vec<Extension>) -> Result<Vec<Verdict>, String> {
        begin();
        P::review(&host, &extensions)
    }
}

impl<P: Settings> bindings::settings::exports::switch_root::policy::settings::Guest
    for Exported<P>
{
    fn configure(json: String) -> Result<(), String> {
        begin();
        P::configure(&json)
    }
}

/// What precedes every call of the host.
fn begin() {
    #[cfg(all(target_family = "wasm", feature = "panics"))]
    crate::panics::are_logged();
}

/// Makes a type the policy that this crate's component is.
///
/// After the type stand the questions that it answers: `preservation`, `compatibility` and
/// `settings`, in any order. The component exports these interfaces and no others. One crate
/// registers one policy; to answer different questions with different types, register each.
///
/// ```
/// # use switch_root_policy::{Compatibility, Extension, HostFacts, Verdict, register};
/// struct NotOnArm;
///
/// impl Compatibility for NotOnArm {
///     fn review(host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
///         let verdict = match host.architecture.as_str() {
///             "aarch64" => Verdict::Incompatible("this fleet has no extensions on arm".into()),
///             _ => Verdict::Abstain,
///         };
///         Ok(vec![verdict; extensions.len()])
///     }
/// }
///
/// register!(NotOnArm: compatibility);
/// ```
#[macro_export]
macro_rules! register {
    ($policy:ty: $($question:ident),+ $(,)?) => {
        const _: () = {
            type Exported = $crate::Exported<$policy>;
            $( $crate::__register_question!($policy, Exported, $question); )+
        };
    };
}

/// One question of [`register!`].
///
/// Only a component exports anything. A native build of the same crate just checks that the
/// trait is there: the exported names could meet those of another policy in one test binary.
#[doc(hidden)]
#[macro_export]
macro_rules! __register_question {
    ($policy:ty, $exported:ident, preservation) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::preservation::export_preservation!(
            $exported with_types_in $crate::bindings::preservation
        );
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&[u8], &[$crate::Entry]) -> ::core::result::Result<
            ::std::vec::Vec<$crate::Decision>,
            ::std::string::String,
        > = <$policy as $crate::Preservation>::review;
    };
    ($policy:ty, $exported:ident, compatibility) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::compatibility::export_compatibility!(
            $exported with_types_in $crate::bindings::compatibility
        );
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&$crate::HostFacts, &[$crate::Extension]) -> ::core::result::Result<
            ::std::vec::Vec<$crate::Verdict>,
            ::std::string::String,
        > = <$policy as $crate::Compatibility>::review;
    };
    ($policy:ty, $exported:ident, settings) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::settings::export_settings!(
            $exported with_types_in $crate::bindings::settings
        );
        #[cfg(not(target_family = "wasm"))]
        const _: fn(&str) -> ::core::result::Result<(), ::std::string::String> =
            <$policy as $crate::Settings>::configure;
    };
    ($policy:ty, $exported:ident, $other:ident) => {
        ::core::compile_error!(::core::concat!(
            "a policy answers `preservation`, `compatibility` or `settings`, not `",
            ::core::stringify!($other),
            "`"
        ));
    };
}
