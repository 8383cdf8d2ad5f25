/* AWS' configuration and credentials files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/ini.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    char *text = arena_dup(a, data, size);
    struct ini ini;
    if (ini_parse_text(a, "config", text, &ini, &err) < 0) {
        if (err.line < 1 || !strstr(err.message, "config:")) abort();
        return 0;
    }
    for (size_t i = 0; i < ini.n; i++) {
        const struct ini_section *s = &ini.sections[i];
        if (ini_section(&ini, s->name) != s) abort(); /* a name stands once */
        for (size_t j = 0; j < s->n; j++)
            if (ini_entry(s, s->entries[j].key) != &s->entries[j] || strpbrk(s->entries[j].value, "\n")) abort();
    }
    return 0;
}
