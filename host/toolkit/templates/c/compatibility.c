/* Which system extensions may be activated: none whose name another one has, too. */

#include "contract.h"
#include "text.h"

typedef exports_switch_root_policy_compatibility_extension_t extension;
typedef exports_switch_root_policy_compatibility_verdict_t verdict;

static bool same(const contract_string_t *a, const contract_string_t *b) {
    return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

static char *append(char *end, const contract_string_t *text) {
    return (char *)memcpy(end, text->ptr, text->len) + text->len;
}

/* "<name> is also the name of <image>" */
static void refuse(const extension *one, const extension *other, verdict *answer) {
    static const char between[] = " is also the name of ";
    size_t length = one->name.len + strlen(between) + other->image.len;
    char *text = room(length, 1);
    char *end = append(text, &one->name);
    append(stpcpy(end, between), &other->image);
    answer->tag = SWITCH_ROOT_POLICY_TYPES_VERDICT_INCOMPATIBLE;
    answer->val.incompatible = (contract_string_t){(uint8_t *)text, length};
}

/* Answers for each extension, in their order. What is asked with is freed here, what is answered
   with is freed by who asked. To fail, set `error` and return false. */
bool exports_switch_root_policy_compatibility_review(
    exports_switch_root_policy_compatibility_host_facts_t *host,
    exports_switch_root_policy_compatibility_list_extension_t *extensions,
    exports_switch_root_policy_compatibility_list_verdict_t *answer,
    contract_string_t *error) {
    (void)error;
    answer->len = extensions->len;
    answer->ptr = room(extensions->len, sizeof(verdict));
    for (size_t i = 0; i < extensions->len; i++) {
        answer->ptr[i].tag = SWITCH_ROOT_POLICY_TYPES_VERDICT_ABSTAIN;
        for (size_t j = 0; j < extensions->len; j++) {
            if (i != j && same(&extensions->ptr[i].name, &extensions->ptr[j].name)) {
                refuse(&extensions->ptr[i], &extensions->ptr[j], &answer->ptr[i]);
                break;
            }
        }
    }
    exports_switch_root_policy_compatibility_host_facts_free(host);
    exports_switch_root_policy_compatibility_list_extension_free(extensions);
    return true;
}
