/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes at an offset of an iovec array, wherever the elements' borders are. */
#ifndef VHOST_IOV_H
#define VHOST_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* Sum of the lengths. */
size_t iov_size(const struct iovec *iov, unsigned int cnt);

/* Copy up to n bytes out of, or into, the vector from off on; the number copied. */
size_t iov_read(const struct iovec *iov, unsigned int cnt, size_t off, void *buf, size_t n);
size_t iov_write(const struct iovec *iov, unsigned int cnt, size_t off, const void *buf, size_t n);

/*
 * Describe the bytes [off, off + n) in dst, which has room for max elements.
 * The number of elements; 0 when the range leaves the vector, dst is too
 * small, or n is 0.
 */
unsigned int iov_slice(struct iovec *dst, unsigned int max, const struct iovec *iov,
		       unsigned int cnt, size_t off, size_t n);

#endif /* VHOST_IOV_H */
