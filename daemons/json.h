/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON from outside: parsed by json-c, within bounds, and refused where it is ambiguous. */
#ifndef DAEMONS_JSON_H
#define DAEMONS_JSON_H

#include <json-c/json.h>
#include <stddef.h>

#define JSON_DEPTH_MAX	16		/* objects and arrays within each other */
#define JSON_KEYS_MAX	256		/* of all objects which are open at one place */
#define JSON_WHY_SIZE	128

/*
 * The value which the text is, len bytes with a NUL behind them: UTF-8, strictly by RFC 8259,
 * no key twice in an object.  To be put by the caller.  Otherwise NULL, and the reason in why.
 */
struct json_object *json_read(const char *text, size_t len, char why[JSON_WHY_SIZE]);

/* A string of a text from elsewhere, which need not be UTF-8: what is not becomes '?'. */
struct json_object *json_text(const char *text);

/* Add a member and give it away; a NULL value is JSON's null. */
void json_add(struct json_object *obj, const char *key, struct json_object *value);

#endif /* DAEMONS_JSON_H */
