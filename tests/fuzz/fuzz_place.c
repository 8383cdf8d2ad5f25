/* Input: the name of a step, a newline, a Dockerfile. The line that is found exists. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "build/place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *text = mem_dup(data, size);
    char *dockerfile = strchr(text, '\n');
    if (!dockerfile) return 0;
    *dockerfile++ = 0;
    int lines = 1;
    for (const char *p = dockerfile; *p; p++) lines += *p == '\n';
    int line = place_of_step(dockerfile, text);
    if (line < 0 || line > lines || place_in_error(text) < 0) abort();
    return 0;
}
