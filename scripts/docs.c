/* make docs: writes the documentation pages from the provider's tables. Usage: docs EXAMPLES DOCS */
#include <stdio.h>

#include "base/err.h"
#include "provider/provider.h"

int main(int argc, char **argv) {
    AUTO_ERR struct err err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: %s EXAMPLES DOCS\n", argv[0]);
        return 2;
    }
    if (tf_docs_write(&provider_gpudev, argv[1], argv[2], &err) == 0) return 0;
    fprintf(stderr, "docs: %s\n", err_text(&err));
    return 1;
}
