//! What is wrong with a text.

use super::node::Position;

crate::outcomes! {
    /// Why a text is not read as YAML: what follows the file's name in a sentence.
    pub enum Malformed in "extensions" {
        /// The line and column say where. The file is YAML, as `srctl extension pack` writes it.
        "SR-E11" NotYaml { at: Position, error: String } = "is not YAML: {at}: {error}",
        "SR-E12" SecondDocument { at: Position } = "{at}: a second document; the file holds one",
        "SR-E13" TooDeep { at: Position } = "{at}: nested too deeply",
        /// YAML that this file does not need, and that hides what it says.
        "SR-E14" Alias { at: Position } = "{at}: aliases are not read; write the value itself",
        "SR-E15" KeyNotText { at: Position } = "{at}: a key that is not a text",
        "SR-E16" EndWithoutBeginning { at: Position } = "{at}: a collection ends that did not begin",
        /// What `srctl` says of the manifest of an extension, in which aliases are read. Write the
        /// value itself.
        "SR-E17" WithinItself { at: Position } = "{at}: the alias refers to something that it is in itself",
        "SR-E18" LargeAliases { at: Position } = "{at}: the aliases stand for more than 1 MiB in all, which is not read",
        "SR-E19" LargeAnchors { at: Position } = "{at}: what has anchors is more than 1 MiB in all, which is not read",
        /// Only one of them could count. Remove the other.
        "SR-E20" KeyTwice { at: Position, key: String } = "{at}: the key `{key}` stands twice",
    }
}
