/* SPDX-License-Identifier: BSD-3-Clause */
/* A fuzzer's input, from which all decisions are taken; behind its end there are zeroes. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdint.h>
#include <string.h>

#include "libvhost/util.h"

struct input {
	const uint8_t *at;
	size_t left;			/* bytes */
};

/* The entry of a fuzz target, called by libFuzzer or by replay.c. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next n bytes; what is missing is zero.  Returns how many there were. */
static inline size_t input_bytes(struct input *in, void *buf, size_t n)
{
	size_t have = MIN(n, in->left);

	if (have)
		memcpy(buf, in->at, have);
	memset((uint8_t *)buf + have, 0, n - have);
	in->at += have;
	in->left -= have;
	return have;
}

static inline uint8_t input_u8(struct input *in)
{
	uint8_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint32_t input_u32(struct input *in)
{
	uint32_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

static inline uint64_t input_u64(struct input *in)
{
	uint64_t v;

	input_bytes(in, &v, sizeof(v));
	return v;
}

#endif /* FUZZ_INPUT_H */
