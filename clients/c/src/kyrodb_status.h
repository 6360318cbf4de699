/* Filling in a kyrodb_status from what came over the wire. */
#ifndef KYRODB_STATUS_H
#define KYRODB_STATUS_H

#include "kyrodb_client.h"

enum {
    KYRODB_OK = 0,
    KYRODB_DEADLINE_EXCEEDED = 4,
    KYRODB_RESOURCE_EXHAUSTED = 8,
    KYRODB_INTERNAL = 13,
    KYRODB_UNAVAILABLE = 14,
};

/* Sets code and message and clears the rest. */
void kyrodb_status_set(kyrodb_status *status, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Undoes the percent-encoding of grpc-message while copying it into the status. */
void kyrodb_status_message(kyrodb_status *status, const char *encoded, size_t length);

/* Reads reason and field out of grpc-status-details-bin (base64 of google.rpc.Status). */
void kyrodb_status_details(kyrodb_status *status, const char *base64, size_t length);

#endif
