/* Input: a byte of settings, a value for $V up to a newline, a word. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "dockerfile/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok) {
    if (!ok) abort();
}

static struct df_value value(void *self, const char *name) {
    if (!strcmp(name, "V")) return (struct df_value){.text = self, .set = true};
    if (!strcmp(name, "O")) return (struct df_value){.text = "o", .set = true, .open = true};
    return (struct df_value){.text = ""};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *split = size > 1 ? memchr(data + 1, '\n', size - 1) : NULL;
    if (!split || memchr(data, 0, size)) return 0;
    AUTO_ARENA struct arena *a = arena_new();
    char *v = arena_strndup(a, (const char *) data + 1, (size_t) (split - data) - 1);
    char *word = arena_strndup(a, (const char *) split + 1, size - (size_t) (split + 1 - data));
    struct df_vars vars = {value, v};
    struct df_expand how = {
        .escape = data[0] & 1 ? '`' : '\\',
        .raw_quotes = data[0] & 2,
        .raw_escapes = data[0] & 4,
        .literal_quotes = data[0] & 8,
        .skip_unset = data[0] & 16,
        .vars = &vars,
    };
    struct df_expanded e, again;
    AUTO_ERR struct err err = {0};
    int r = df_expand(a, &how, word, &e, &err);
    must(r >= 0 || (err.message && *err.message));
    must(r == df_expand(a, &how, word, &again, NULL) || r == -ERR_INTERNAL);
    if (r < 0) return 0;
    must(!strcmp(e.text, again.text) && e.open == again.open && e.words.n == again.words.n);
    if (strlen(word) < 65536) must(utf8_check(e.text, strlen(e.text), NULL) >= 0 || utf8_check(v, strlen(v), NULL) < 0);
    if (!strpbrk(word, "$'\"\\`<") && utf8_check(word, strlen(word), NULL) >= 0 && !str_starts(word, "\xEF\xBB\xBF"))
        must(!strcmp(e.text, word));
    return 0;
}
