/* Replays corpus files through a fuzz target, for compilers without libFuzzer: driver FILE-OR-FOLDER… */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path) {
    AUTO_ARENA struct arena *a = arena_new();
    AUTO_ERR struct err err = {0};
    char *text = NULL;
    size_t len = 0;
    if (fs_read(a, path, 64 << 20, &text, &len, &err) < 0) {
        fprintf(stderr, "%s\n", err_text(&err));
        return -1;
    }
    uint8_t *exact = mem_array(len ? len : 1, 1); /* without the NUL that follows: ASan sees a read past the end */
    for (size_t i = 0; i < len; i++) exact[i] = (uint8_t) text[i];
    LLVMFuzzerTestOneInput(exact, len);
    mem_free(exact);
    return 1;
}

static int replay_all(const char *path) {
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) return replay(path);
    AUTO_ARENA struct arena *a = arena_new();
    DIR *d = opendir(path);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        int r = replay_all(fs_join(a, path, e->d_name));
        if (r < 0) n = -1;
        if (n >= 0) n += r;
    }
    if (d) closedir(d);
    return n;
}

int main(int argc, char **argv) {
    int n = 0;
    for (int i = 1; i < argc; i++) {
        int r = replay_all(argv[i]);
        if (r < 0) return 1;
        n += r;
    }
    printf("%d inputs\n", n);
    return n ? 0 : 1; /* a corpus that isn't there is a mistake */
}
