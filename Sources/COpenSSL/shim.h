#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* ERR_raise is variadic at heart and does not reach Swift. */
static inline void kyro_raise_no_application_protocol(void) {
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_APPLICATION_PROTOCOL);
}

/* The subject's alternative names are a STACK_OF, whose functions are macros. */
static inline int kyro_general_name_count(const GENERAL_NAMES *names) {
    return sk_GENERAL_NAME_num(names);
}

/* NULL for a name that is no string. */
static inline const ASN1_STRING *kyro_general_name(const GENERAL_NAMES *names, int i, int *kind) {
    void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), kind);
    return *kind == GEN_DNS || *kind == GEN_URI || *kind == GEN_EMAIL ? value : NULL;
}

static inline void kyro_free_general_names(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }
static inline void kyro_openssl_free(void *memory) { OPENSSL_free(memory); }
