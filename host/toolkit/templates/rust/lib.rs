//! A policy for switch-root.

@MODULES@
/// The policy: a name for its answers, without a value.
struct Policy;

switch_root_policy::register!(Policy: @ANSWERS@);
