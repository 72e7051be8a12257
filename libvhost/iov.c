/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes at an offset of an iovec array. */
#include "iov.h"

#include <string.h>

#include "util.h"

/* A position within a vector. */
struct iov_pos {
	const struct iovec *iov;
	unsigned int cnt;		/* elements left, the current one included */
	size_t off;			/* bytes into the current element */
};

static struct iov_pos iov_seek(const struct iovec *iov, unsigned int cnt, size_t off)
{
	while (cnt && off >= iov->iov_len) {
		off -= iov->iov_len;
		iov++;
		cnt--;
	}
	return (struct iov_pos){ iov, cnt, off };
}

/* The next piece of at most max bytes; its length is 0 only at the end of the vector. */
static struct iovec iov_step(struct iov_pos *pos, size_t max)
{
	struct iovec piece = { NULL, 0 };

	while (pos->cnt && !piece.iov_len) {
		piece.iov_base = (char *)pos->iov->iov_base + pos->off;
		piece.iov_len = MIN(max, pos->iov->iov_len - pos->off);
		pos->iov++;
		pos->cnt--;
		pos->off = 0;
	}
	return piece;
}

size_t iov_size(const struct iovec *iov, unsigned int cnt)
{
	size_t size = 0;

	while (cnt--)
		size += iov++->iov_len;
	return size;
}

size_t iov_read(const struct iovec *iov, unsigned int cnt, size_t off, void *buf, size_t n)
{
	struct iov_pos pos = iov_seek(iov, cnt, off);
	size_t done = 0;

	while (done < n) {
		struct iovec piece = iov_step(&pos, n - done);

		if (!piece.iov_len)
			break;
		memcpy((char *)buf + done, piece.iov_base, piece.iov_len);
		done += piece.iov_len;
	}
	return done;
}

size_t iov_write(const struct iovec *iov, unsigned int cnt, size_t off, const void *buf, size_t n)
{
	struct iov_pos pos = iov_seek(iov, cnt, off);
	size_t done = 0;

	while (done < n) {
		struct iovec piece = iov_step(&pos, n - done);

		if (!piece.iov_len)
			break;
		memcpy(piece.iov_base, (const char *)buf + done, piece.iov_len);
		done += piece.iov_len;
	}
	return done;
}

unsigned int iov_slice(struct iovec *dst, unsigned int max, const struct iovec *iov,
		       unsigned int cnt, size_t off, size_t n)
{
	struct iov_pos pos = iov_seek(iov, cnt, off);
	unsigned int used = 0;

	while (n) {
		struct iovec piece = iov_step(&pos, n);

		if (!piece.iov_len || used == max)
			return 0;
		dst[used++] = piece;
		n -= piece.iov_len;
	}
	return used;
}
