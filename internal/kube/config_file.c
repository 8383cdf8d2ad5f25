/* kubeconfig files: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "json/json.h"
#include "kube/config.h"
#include "yaml/yaml.h"

enum { MAX_FILE = 8 << 20, MAX_PEM = 1 << 20, MAX_FILES = 64 };

struct file {
    const char *path, *dir;
    struct json *tree;
};

/* A named entry of a list and the file that has it. */
struct entry {
    const struct file *file;
    const struct json *value;
    const char *name;
};

struct loader {
    struct file *files;
    size_t n;
    struct kube_config *c;
    struct err *err;
};

/* Reads at most max + 1 bytes; grown by hand, so that no copy is left unwiped. -1: errno is set. */
static ssize_t read_wiping(int fd, size_t max, char **ret) {
    size_t cap = 64 << 10, len = 0;
    char *data = mem_alloc(cap);
    for (;;) {
        ssize_t got = read(fd, data + len, cap - len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            mem_wipe(data, cap);
            mem_free(data);
            return -1;
        }
        len += (size_t) got;
        if (!got || len > max) break;
        if (len < cap) continue;
        char *more = mem_alloc(2 * cap);
        memcpy(more, data, len);
        mem_wipe(data, cap);
        mem_free(data);
        data = more;
        cap *= 2;
    }
    *ret = data;
    return (ssize_t) len;
}

struct secret *kube_read_secret(const char *path, size_t max, bool trim, struct err *err) {
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *text = NULL;
    ssize_t len = fd < 0 ? -1 : read_wiping(fd, max, &text);
    if (len < 0) {
        err_errno(err, errno, "cannot read %s", path);
        return NULL;
    }
    struct secret *s = NULL;
    size_t from = 0, to = (size_t) len;
    while (trim && from < to && strchr(" \t\r\n", text[from])) from++;
    while (trim && to > from && strchr(" \t\r\n", text[to - 1])) to--;
    if ((size_t) len > max)
        err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
    else
        s = secret_new(text + from, to - from);
    mem_wipe(text, (size_t) len);
    mem_free(text);
    return s;
}

/* Trees hold tokens and keys: their texts are wiped before they are freed. */
static void wipe_tree(struct json *j) {
    char *text = (char *) json_str(j);
    if (text) mem_wipe(text, strlen(text));
    json_each(item, j) wipe_tree((struct json *) item);
}

static void forget(struct json *j) {
    wipe_tree(j);
    json_free(j);
}

static int parse_file(struct loader *l, const char *path, bool must_exist) {
    struct err *err = l->err;
    struct arena *a = l->c->arena;
    if (!must_exist && access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) return 0;
    AUTO_SECRET struct secret *text = kube_read_secret(path, MAX_FILE, false, err);
    if (!text) return err_wrap(err, "kubeconfig");
    struct json *tree = yaml_parse(secret_bytes(text), secret_len(text), err);
    if (!tree) {
        err_at(err, path, err ? err->line : 0);
        return err_wrap(err, "kubeconfig %s", path);
    }
    if (!json_is_obj(tree) && !json_is_null(tree)) {
        forget(tree);
        return err_set(err, ERR_INVALID, "%s is not a kubeconfig: it has no mapping at its top", path);
    }
    l->files[l->n++] = (struct file){.path = path, .dir = fs_dir(a, path), .tree = tree};
    return 0;
}

/* Scalars where the schema wants a text: their JSON spelling does, as in Kubernetes' own reader. */
static const char *text_of(struct loader *l, const struct json *j) {
    if (json_is_str(j)) return json_str(j);
    return json_is_num(j) || json_is_bool(j) ? json_text(l->c->arena, j) : NULL;
}

static const char *field(struct loader *l, const struct json *obj, const char *key) {
    const char *s = text_of(l, json_get(obj, key));
    return str_empty(s) ? NULL : s;
}

static const char *copy(struct loader *l, const struct json *obj, const char *key) {
    return arena_strdup(l->c->arena, field(l, obj, key));
}

static struct secret *secret_field(struct loader *l, const struct json *obj, const char *key) {
    const char *s = field(l, obj, key);
    return s ? secret_new(s, strlen(s)) : NULL;
}

static bool find(struct loader *l, const char *list, const char *inner, const char *name, struct entry *ret) {
    for (size_t i = 0; i < l->n; i++) {
        json_each(item, json_get(l->files[i].tree, list)) {
            if (!str_eq(text_of(l, json_get(item, "name")), name)) continue;
            *ret = (struct entry){.file = &l->files[i], .value = json_get(item, inner), .name = name};
            return true;
        }
    }
    return false;
}

static const char *names_of(struct loader *l, const char *list) {
    AUTO_BUF struct buf b = {.max = 1000};
    for (size_t i = 0; i < l->n; i++) {
        json_each(item, json_get(l->files[i].tree, list)) {
            const char *name = text_of(l, json_get(item, "name"));
            if (name) buf_addf(&b, "%s%s", b.len ? ", " : "", name);
        }
    }
    return b.len ? arena_strdup(l->c->arena, buf_str(&b)) : "none";
}

static const char *paths_of(struct loader *l) {
    AUTO_BUF struct buf b = {.max = 1000};
    for (size_t i = 0; i < l->n; i++) buf_addf(&b, "%s%s", b.len ? ", " : "", l->files[i].path);
    return arena_strdup(l->c->arena, buf_str(&b));
}

static int not_found(struct loader *l, const char *what, const char *name, const char *list) {
    int r = err_set(l->err, ERR_NOT_FOUND, "no %s \"%s\" in %s", what, name, paths_of(l));
    err_hint(l->err, "%ss there: %s.", what, names_of(l, list));
    return r;
}

static const char *path_in(struct loader *l, const struct entry *e, const char *key) {
    const char *path = field(l, e->value, key);
    return path ? fs_join(l->c->arena, e->file->dir, path) : NULL;
}

/* A PEM text given as data (base64) or as a file; both is an error for certificate authorities, else data wins. */
static int pem(struct loader *l, const struct entry *e, const char *key, struct secret **ret) {
    struct arena *a = l->c->arena;
    const char *data_key = arena_printf(a, "%s-data", key), *data = field(l, e->value, data_key);
    if (data) {
        *ret = base64_decode_secret(data, strlen(data));
        if (!*ret) return err_set(l->err, ERR_INVALID, "%s: %s of \"%s\" is not base64", e->file->path, data_key, e->name);
    } else if (field(l, e->value, key)) {
        *ret = kube_read_secret(path_in(l, e, key), MAX_PEM, false, l->err);
        if (!*ret) return err_wrap(l->err, "%s: %s of \"%s\"", e->file->path, key, e->name);
    }
    if (*ret && !strstr(secret_bytes(*ret), "-----BEGIN ")) {
        return err_set(l->err, ERR_INVALID, "%s: %s of \"%s\" is not a PEM text", e->file->path, data ? data_key : key, e->name);
    }
    return 0;
}

static int take_cluster(struct loader *l, const struct entry *e) {
    struct kube_config *c = l->c;
    if (!field(l, e->value, "server")) return err_set(l->err, ERR_INVALID, "%s: cluster \"%s\" has no server", e->file->path, e->name);
    if (json_true(json_get(e->value, "insecure-skip-tls-verify"))) {
        int r = err_set(l->err, ERR_INVALID, "%s: cluster \"%s\" has insecure-skip-tls-verify, but certificates are always verified",
                        e->file->path, e->name);
        err_hint(l->err, "Put the CA's certificate into certificate-authority-data (base64) and remove insecure-skip-tls-verify; if "
                         "the certificate is for another name, set tls-server-name.");
        return r;
    }
    if (field(l, e->value, "certificate-authority") && field(l, e->value, "certificate-authority-data"))
        return err_set(l->err, ERR_INVALID, "%s: cluster \"%s\" has both certificate-authority and certificate-authority-data",
                       e->file->path, e->name);
    c->server = copy(l, e->value, "server");
    c->tls_server_name = copy(l, e->value, "tls-server-name");
    c->proxy_url = copy(l, e->value, "proxy-url");
    AUTO_SECRET struct secret *ca = NULL;
    int r = pem(l, e, "certificate-authority", &ca);
    if (r < 0) return r;
    if (ca) c->ca_pem = arena_strdup(c->arena, secret_bytes(ca)); /* no secret, as it happens */
    json_each(ext, json_get(e->value, "extensions")) {
        if (str_eq(json_get_str(ext, "name"), "client.authentication.k8s.io/exec") && json_get(ext, "extension"))
            c->exec_cluster_config = json_text(c->arena, json_get(ext, "extension"));
    }
    return 0;
}

static void take_list(struct loader *l, const struct json *list, struct strs *ret) {
    json_each(item, list) {
        const char *s = text_of(l, item);
        if (s) strs_add(l->c->arena, ret, arena_strdup(l->c->arena, s));
    }
}

static int take_exec(struct loader *l, const struct entry *e, const struct json *exec) {
    struct kube_config *c = l->c;
    struct arena *a = c->arena;
    const char *command = field(l, exec, "command");
    if (!command) return err_set(l->err, ERR_INVALID, "%s: user \"%s\": exec has no command", e->file->path, e->name);
    bool is_path = strchr(command, '/') != NULL;
    struct strs args = {0};
    take_list(l, json_get(exec, "args"), &args);
    struct kv *env = arena_array(a, json_len(json_get(exec, "env")) + 1, sizeof *env);
    size_t n_env = 0;
    json_each(item, json_get(exec, "env")) {
        if (!field(l, item, "name")) continue;
        const char *value = text_of(l, json_get(item, "value"));
        env[n_env++] = (struct kv){copy(l, item, "name"), arena_strdup(a, value ? value : "")};
    }
    c->exec = (struct kube_exec){
        .api_version = copy(l, exec, "apiVersion"),
        .command = is_path ? fs_join(a, e->file->dir, command) : arena_strdup(a, command),
        .args = args.v, .n_args = args.n, .env = env, .n_env = n_env,
    };
    c->exec_hint = copy(l, exec, "installHint");
    c->exec_cluster_info = json_true(json_get(exec, "provideClusterInfo"));
    const char *mode = field(l, exec, "interactiveMode");
    if (str_eq(mode, "Always")) {
        int r = err_set(l->err, ERR_INVALID, "%s: user \"%s\": the credential plugin %s needs a terminal (interactiveMode Always)",
                        e->file->path, e->name, c->exec.command);
        err_hint(l->err, "OpenTofu's providers have none. Log in beforehand and use a plugin or a token that needs no questions.");
        return r;
    }
    return 0;
}

static void take_impersonation(struct loader *l, const struct json *user) {
    struct kube_config *c = l->c;
    c->as_user = copy(l, user, "as");
    c->as_uid = copy(l, user, "as-uid");
    take_list(l, json_get(user, "as-groups"), &c->as_groups);
    size_t n = 0;
    const struct json *extra = json_get(user, "as-user-extra");
    json_each(e, extra) n += json_len(e);
    c->as_extra = arena_array(c->arena, n + 1, sizeof *c->as_extra);
    json_each(e, extra) {
        struct strs values = {0};
        take_list(l, e, &values);
        for (size_t i = 0; i < values.n; i++)
            c->as_extra[c->n_as_extra++] = (struct kv){arena_strdup(c->arena, json_key(e)), values.v[i]};
    }
}

static int take_user(struct loader *l, const struct entry *e) {
    struct kube_config *c = l->c;
    const struct json *user = e->value;
    if (json_is_obj(json_get(user, "auth-provider"))) {
        int r = err_set(l->err, ERR_UNSUPPORTED, "%s: user \"%s\" uses auth-provider, which Kubernetes removed in 1.26", e->file->path,
                        e->name);
        err_hint(l->err, "Let your cloud's tool write the kubeconfig again: it will use an exec plugin.");
        return r;
    }
    const char *token_file = path_in(l, e, "tokenFile");
    c->token_file = token_file;
    c->token = secret_field(l, user, "token");
    c->username = copy(l, user, "username");
    c->password = secret_field(l, user, "password");
    take_impersonation(l, user);
    AUTO_SECRET struct secret *cert = NULL;
    int r = pem(l, e, "client-certificate", &cert);
    if (!r) r = pem(l, e, "client-key", &c->client_key_pem);
    if (r < 0) return r;
    if (!cert != !c->client_key_pem) {
        return err_set(l->err, ERR_INVALID, "%s: user \"%s\" has a client %s, but no client %s", e->file->path, e->name,
                       cert ? "certificate" : "key", cert ? "key" : "certificate");
    }
    if (cert) c->client_cert_pem = arena_strdup(c->arena, secret_bytes(cert));
    const struct json *exec = json_get(user, "exec");
    return json_is_obj(exec) ? take_exec(l, e, exec) : 0;
}

static int take_context(struct loader *l, const char *name) {
    struct entry context, cluster, user;
    if (!find(l, "contexts", "context", name, &context)) return not_found(l, "context", name, "contexts");
    const char *cluster_name = field(l, context.value, "cluster"), *user_name = field(l, context.value, "user");
    l->c->origin = arena_printf(l->c->arena, "context \"%s\" of %s", name, context.file->path);
    l->c->ns = copy(l, context.value, "namespace");
    if (!cluster_name) return err_set(l->err, ERR_INVALID, "%s: context \"%s\" names no cluster", context.file->path, name);
    if (!find(l, "clusters", "cluster", cluster_name, &cluster)) return not_found(l, "cluster", cluster_name, "clusters");
    int r = take_cluster(l, &cluster);
    if (r < 0 || !user_name) return r;
    if (!find(l, "users", "user", user_name, &user)) return not_found(l, "user", user_name, "users");
    return take_user(l, &user);
}

int kube_config_load(const struct kube_files *files, const char *context, struct kube_config *c, struct err *err) {
    if (files->n > MAX_FILES) return err_set(err, ERR_LIMIT, "more than %d kubeconfig files", MAX_FILES);
    struct loader l = {.files = arena_array(c->arena, files->n + 1, sizeof *l.files), .c = c, .err = err};
    int r = 0;
    for (size_t i = 0; i < files->n && !r; i++) r = parse_file(&l, files->paths[i], files->must_exist);
    for (size_t i = 0; i < l.n && !context; i++) context = field(&l, l.files[i].tree, "current-context");
    if (!r && !context) r = 1;
    if (!r) r = take_context(&l, context);
    for (size_t i = 0; i < l.n; i++) forget(l.files[i].tree);
    return r;
}

struct kube_files kube_files_default(struct arena *a) {
    struct strs paths = {0};
    const char *list = getenv("KUBECONFIG");
    if (str_empty(list)) {
        strs_add(a, &paths, fs_expand_home(a, "~/.kube/config"));
        return (struct kube_files){.paths = paths.v, .n = paths.n};
    }
    for (const char *s = list; *s;) {
        size_t n = strcspn(s, ":");
        if (n) strs_add(a, &paths, fs_abs(a, arena_strndup(a, s, n)));
        s += n + (s[n] == ':');
    }
    return (struct kube_files){.paths = paths.v, .n = paths.n};
}
