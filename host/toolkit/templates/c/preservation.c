/* Which paths of the initramfs survive: the SSH host keys. */

#include "contract.h"
#include "text.h"

typedef exports_switch_root_policy_preservation_entry_t entry;
typedef exports_switch_root_policy_preservation_decision_t decision;

static uint8_t decide(const contract_list_u8_t *directory, const entry *one) {
    const uint8_t *name = one->name.ptr;
    size_t length = one->name.len;
    bool is_directory = one->kind == SWITCH_ROOT_POLICY_TYPES_FILE_KIND_DIRECTORY;

    if (is(directory->ptr, directory->len, "/") && is(name, length, "etc") && is_directory)
        return SWITCH_ROOT_POLICY_TYPES_DECISION_DESCEND;
    if (is(directory->ptr, directory->len, "/etc") && is(name, length, "ssh") && is_directory)
        return SWITCH_ROOT_POLICY_TYPES_DECISION_DESCEND;
    if (is(directory->ptr, directory->len, "/etc/ssh") && begins(name, length, "ssh_host_"))
        return SWITCH_ROOT_POLICY_TYPES_DECISION_KEEP;
    return SWITCH_ROOT_POLICY_TYPES_DECISION_DELETE;
}

/* Answers for each entry of a directory, in their order. What is asked with is freed here, what
   is answered with is freed by who asked. To fail, set `error` and return false. */
bool exports_switch_root_policy_preservation_review(
    contract_list_u8_t *directory,
    exports_switch_root_policy_preservation_list_entry_t *entries,
    exports_switch_root_policy_preservation_list_decision_t *answer,
    contract_string_t *error) {
    (void)error;
    answer->len = entries->len;
    answer->ptr = room(entries->len, sizeof(decision));
    for (size_t i = 0; i < entries->len; i++)
        answer->ptr[i].tag = decide(directory, &entries->ptr[i]);
    contract_list_u8_free(directory);
    exports_switch_root_policy_preservation_list_entry_free(entries);
    return true;
}
