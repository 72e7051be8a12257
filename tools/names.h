/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of what the protocol has numbers for: device types, features, messages, config space. */
#ifndef TOOLS_NAMES_H
#define TOOLS_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* A field of a config space, little endian. */
struct name_field {
	const char *name;		/* NULL: the end */
	uint16_t offset, size;		/* bytes; more than 8: text */
	int feature;			/* which must be offered for it to mean something; -1: none */
};

/* A device type. */
struct name_type {
	const char *name, *title;
	const char *const *features;	/* [64], by bit; NULL: it has none */
	const struct name_field *fields; /* NULL: no config space */
	uint32_t config_len;		/* of the fields */
};

/* The type of this name; NULL: there is none. */
const struct name_type *name_find_type(const char *name);

/*
 * Which type a device seems to be, by what it offers and the first len bytes of its config space;
 * NULL: it could be many.
 */
const struct name_type *name_guess_type(uint64_t features, uint64_t protocol, const uint8_t *config,
					uint32_t len);

/* A feature by its bit; NULL: it has no name.  type may be NULL. */
const char *name_feature(const struct name_type *type, unsigned int bit);
const char *name_protocol(unsigned int bit);

/* A message from the front-end. */
const char *name_request(unsigned int request);

#endif /* TOOLS_NAMES_H */
