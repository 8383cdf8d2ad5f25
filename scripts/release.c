/* What only the static release binary has: linked in by scripts/release. */
#include <nss.h>
#include <openssl/crypto.h>

/* Load balancing, xDS and test resolvers of gRPC core are registered at its start and never used here. Leaving their
 * registration out leaves them out of the binary: 3 MB, all of which would be resident. The names are those of
 * grpc_core::NAME(CoreConfiguration::Builder*). */
#define LEAVE_OUT(length, name)                                                                                                    \
    void leave_out_##name(void *builder) __asm__("_ZN9grpc_core" #length #name "EPNS_17CoreConfiguration7BuilderE");               \
    void leave_out_##name(void *builder) { (void) builder; }

LEAVE_OUT(20, RegisterExtraFilters)
LEAVE_OUT(19, RegisterRlsLbPolicy)
LEAVE_OUT(20, RegisterGrpcLbPolicy)
LEAVE_OUT(20, RegisterFakeResolver)
LEAVE_OUT(24, RegisterPriorityLbPolicy)
LEAVE_OUT(24, RegisterRingHashLbPolicy)
LEAVE_OUT(26, RegisterRoundRobinLbPolicy)
LEAVE_OUT(28, FaultInjectionFilterRegister)
LEAVE_OUT(30, RegisterWeightedTargetLbPolicy)
LEAVE_OUT(32, RegisterOutlierDetectionLbPolicy)

/* A static program must load no shared object: it would bring another libc with it. Names are looked up in files and
 * DNS, as static Go programs do, and OpenSSL's configuration, which may name modules, is left alone. */
__attribute__((constructor)) static void load_nothing(void) {
    __nss_configure_lookup("hosts", "files dns");
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("services", "files");
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}
