#pragma once

#include "http/internal.h"

/* A connection that curl has made and that it no longer reads or writes by itself. */
struct stream {
    struct easy easy;
    CURLM *multi; /* a connect-only handle keeps its connection as long as it is in here */
    curl_socket_t sock;
    int64_t give_up; /* on clock_system: when a silent peer is given up */
};
void stream_free(struct stream *s);

/* Gives one end of a socketpair whose other end a thread copies from and to *s, which it takes. The thread ends when
 * either side closes. */
int stream_pump(struct stream **s, int *ret_fd, struct err *err);
