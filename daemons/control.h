/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Methods of the control socket, for the daemons which have their own.
 *
 * A method is a row of a table: a name, its parameters as options are defined, and a function.
 * Parameters are named, and judged before the function is called.  The function, or what it has
 * begun, ends the call by one of control_reply(), control_fail(), control_refuse().  All of it
 * runs on the control worker.
 */
#ifndef DAEMONS_CONTROL_H
#define DAEMONS_CONTROL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "json.h"
#include "options.h"

struct daemon_device;

/* One call of a method, until it is ended. */
struct control_call;

/* What a method is about. */
enum control_scope {
	CONTROL_DEVICE,			/* one device: which the parameter "device" names, or the only
					 * one */
	CONTROL_ALL,			/* the one which is named, or all */
	CONTROL_PROCESS,		/* there is no such parameter */
};

/* A table of methods ends with one without name. */
struct control_method {
	const char *name;
	const char *help;		/* one line */
	enum control_scope scope;
	const struct option_def *params; /* fields of values; no lists; NULL: none */
	size_t size;			/* bytes of values, which are zero where nothing is said */
	/*
	 * The parameters are one value of this list, as an object in JSON's configuration, and
	 * values is the text which the command line would have.  NULL: they are not.
	 */
	const struct option_def *item;
	/* values lives until the call is ended. */
	void (*fn)(struct control_call *call, const void *values);
};

/* NULL: of all devices, which have names. */
struct daemon_device *control_device(const struct control_call *call);

/* Whether the parameter was said. */
bool control_given(const struct control_call *call, const char *name);

/* A file descriptor which came along, the caller's from now on; -1: there is none. */
int control_take_fd(struct control_call *call);

/* It is done; the result is given away, NULL is JSON's null. */
void control_reply(struct control_call *call, struct json_object *result);
/* It failed. */
void control_fail(struct control_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* What was asked for makes no sense. */
void control_refuse(struct control_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* DAEMONS_CONTROL_H */
