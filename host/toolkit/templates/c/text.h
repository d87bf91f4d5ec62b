/* Texts, compared and made without stdio.h, whose functions would import WASI. */

#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Room for `count` elements of `size` bytes, zeroed and never NULL. */
static inline void *room(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Whether these bytes are those of the C string `text`. */
static inline bool is(const uint8_t *bytes, size_t length, const char *text) {
    return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

/* Whether these bytes begin with those of the C string `prefix`. */
static inline bool begins(const uint8_t *bytes, size_t length, const char *prefix) {
    size_t wanted = strlen(prefix);
    return length >= wanted && memcmp(bytes, prefix, wanted) == 0;
}

#endif
