/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of in-flight tracking share: files which are its memory, and mappings of them.
 */
#ifndef TESTS_PROTO_INFLIGHT_H
#define TESTS_PROTO_INFLIGHT_H

#include <stddef.h>

#include "frontend/fe_migrate.h"
#include "tests/echo.h"

#define ALL ~UINT64_C(0)
#define SIZE 16u
#define FLAGS VHOST_DEV_INFLIGHT
#define FEATURES (FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1))
#define TRACK FE_BIT(VU_PROTOCOL_F_INFLIGHT_SHMFD)
#define TRACK_STOP FE_BIT(VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT)
#define SKIP_DRAIN FE_BIT(VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN)

/* The region of one queue of SIZE entries, and more than that. */
#define NEEDED (16u + 16u * SIZE + 48u)
#define FILE_SIZE 16384u

/* A file of size bytes which anybody may change. */
int new_file(size_t size);

/* Mappings of files of this name in this process. */
unsigned int count_mappings(const char *name);

#endif /* TESTS_PROTO_INFLIGHT_H */
