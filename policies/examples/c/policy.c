/* Keeps what the kernel took from the early part of the initramfs (processor microcode, ACPI
   tables), and the logs that were written in it: what one wants to see when a machine behaves
   differently after an update of its firmware. */

#include "contract.h"
#include "text.h"

typedef exports_switch_root_policy_preservation_entry_t entry;
typedef exports_switch_root_policy_preservation_decision_t decision;

/* Survives, with everything below it. */
static const char *const kept[] = {
    "/kernel/firmware/acpi",
    "/kernel/x86/microcode",
    "/var/log",
};

/* What is left of `path` behind the directory and a slash, or NULL where it is not below it. */
static const char *below(const char *path, const contract_list_u8_t *directory) {
    size_t length = is(directory->ptr, directory->len, "/") ? 0 : directory->len;
    if (strncmp(path, (const char *)directory->ptr, length) != 0 || path[length] != '/')
        return NULL;
    return path + length + 1;
}

static uint8_t decide(const contract_list_u8_t *directory, const entry *one) {
    if (one->kind != SWITCH_ROOT_POLICY_TYPES_FILE_KIND_DIRECTORY)
        return SWITCH_ROOT_POLICY_TYPES_DECISION_DELETE;
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const char *rest = below(kept[i], directory);
        size_t length = one->name.len;
        if (rest == NULL || strncmp(rest, (const char *)one->name.ptr, length) != 0)
            continue;
        if (rest[length] == '\0')
            return SWITCH_ROOT_POLICY_TYPES_DECISION_KEEP;
        if (rest[length] == '/')
            return SWITCH_ROOT_POLICY_TYPES_DECISION_DESCEND;
    }
    return SWITCH_ROOT_POLICY_TYPES_DECISION_DELETE;
}

/* Answers for each entry of a directory, in their order. What is asked with is freed here, what
   is answered with is freed by who asked. */
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
