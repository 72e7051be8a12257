/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON from outside.
 *
 * json-c silently lets the last of equal keys win.  Whoever says two things means one of
 * them, so the text is looked through once more for that, after json-c has found it to be JSON:
 * then a string is a key if a colon follows, and strings end where they seem to.
 */
#include "json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

struct json_key {
	const char *text;		/* as it is written, without the quotes */
	size_t len;			/* bytes */
};

/* A look through a text. */
struct json_scan {
	const char *at, *end;
	struct json_key keys[JSON_KEYS_MAX];	/* of the objects which are open */
	unsigned int num;
	unsigned int base[JSON_DEPTH_MAX];	/* where those of each open object or array begin */
	unsigned int depth;
};

__attribute__((format(printf, 2, 3)))
static bool json_refuse(char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, JSON_WHY_SIZE, fmt, ap);
	va_end(ap);
	return false;
}

/* From behind the opening quote to behind the closing one. */
static struct json_key json_scan_string(struct json_scan *scan)
{
	struct json_key key = { .text = scan->at };

	while (scan->at < scan->end && *scan->at != '"')
		scan->at += *scan->at == '\\' ? 2 : 1;
	key.len = (size_t)(scan->at - key.text);
	scan->at++;
	return key;
}

static bool json_scan_is_key(const struct json_scan *scan)
{
	const char *p = scan->at;

	while (p < scan->end && strchr(" \t\r\n", *p))
		p++;
	return p < scan->end && *p == ':';
}

static bool json_scan_key(struct json_scan *scan, const struct json_key *key, char *why)
{
	const struct json_key *other;

	/* It could be another way to write one of the others; ours are plain words. */
	if (memchr(key->text, '\\', key->len))
		return json_refuse(why, "%.*s: a key with a backslash", (int)MIN(key->len, 40u),
				   key->text);
	for (other = &scan->keys[scan->base[scan->depth - 1]]; other < &scan->keys[scan->num];
	     other++)
		if (other->len == key->len && !memcmp(other->text, key->text, key->len))
			return json_refuse(why, "%.*s: given more than once",
					   (int)MIN(key->len, 40u), key->text);
	if (scan->num == JSON_KEYS_MAX)
		return json_refuse(why, "more than %u keys", JSON_KEYS_MAX);
	scan->keys[scan->num++] = *key;
	return true;
}

/* Whether no object has a key twice.  The text is JSON. */
static bool json_scan(struct json_scan *scan, char *why)
{
	struct json_key key;

	while (scan->at < scan->end) {
		switch (*scan->at++) {
		case '{':
		case '[':
			if (scan->depth == JSON_DEPTH_MAX)
				return json_refuse(why, "nested too deeply");
			scan->base[scan->depth++] = scan->num;
			break;
		case '}':
		case ']':
			if (scan->depth)
				scan->num = scan->base[--scan->depth];
			break;
		case '"':
			key = json_scan_string(scan);
			if (scan->depth && json_scan_is_key(scan) &&
			    !json_scan_key(scan, &key, why))
				return false;
			break;
		}
	}
	return true;
}

static struct json_object *json_parse(struct json_tokener *tok, const char *text, size_t len,
				      char *why)
{
	struct json_object *value;
	enum json_tokener_error err;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With the NUL, which ends a number. */
	value = json_tokener_parse_ex(tok, text, (int)len + 1);
	err = json_tokener_get_error(tok);
	if (err == json_tokener_success && value)
		return value;
	if (err == json_tokener_success) {
		json_refuse(why, "null");
		return NULL;
	}
	json_object_put(value);
	json_refuse(why, "%s at byte %zu", err == json_tokener_continue ? "unexpected end" :
		    json_tokener_error_desc(err), json_tokener_get_parse_end(tok));
	return NULL;
}

struct json_object *json_read(const char *text, size_t len, char why[JSON_WHY_SIZE])
{
	struct json_scan scan = { .at = text, .end = text + len };
	struct json_tokener *tok;
	struct json_object *value;

	if (len >= INT32_MAX || memchr(text, '\0', len)) {
		json_refuse(why, len >= INT32_MAX ? "too long" : "a NUL byte");
		return NULL;
	}
	tok = json_tokener_new_ex(JSON_DEPTH_MAX);
	if (!tok) {
		json_refuse(why, "out of memory");
		return NULL;
	}
	value = json_parse(tok, text, len, why);
	json_tokener_free(tok);
	if (value && !json_scan(&scan, why)) {
		json_object_put(value);
		return NULL;
	}
	return value;
}

/* Bytes of the character at p if it is UTF-8 (RFC 3629), else 0. */
static unsigned int json_utf8_len(const unsigned char *p)
{
	unsigned int n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 :
			 *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
	unsigned int i;

	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong ones, surrogates, and what is beyond Unicode. */
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

struct json_object *json_text(const char *text)
{
	char *copy = strdup(text), *p;
	struct json_object *value;
	unsigned int n;

	if (!copy)
		return NULL;
	for (p = copy; *p; p += n) {
		n = json_utf8_len((unsigned char *)p);
		if (!n) {
			*p = '?';
			n = 1;
		}
	}
	value = json_object_new_string(copy);
	free(copy);
	return value;
}

void json_add(struct json_object *obj, const char *key, struct json_object *value)
{
	if (json_object_object_add(obj, key, value))
		json_object_put(value);
}
