/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: JSON-RPC 2.0, one object a line.
 *
 * A line becomes a struct control_call, which ends with one answer; until then its client is
 * not listened to.  A call without id gets no answer (JSON-RPC 2.0, 4.1), and arrays of calls are
 * refused.  When a client goes its call goes on, and the answer nowhere.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "internal.h"
#include "lines.h"
#include "util.h"

#define MESSAGE_SIZE 512		/* bytes of an error's text */

/* JSON-RPC 2.0, 5.1 */
enum {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL_ERROR = -32603,
	RPC_FAILED = -32000,		/* ours: the method failed */
};

struct control_call {
	struct daemon_run *run;
	struct lines_client *client;	/* NULL: gone */
	struct control_call *next, **link;	/* of those which have not ended */
	struct json_object *request;
	struct json_object *id;		/* within request; NULL is an id too */
	bool answers;			/* there is an id */
	const struct control_method *method;
	struct daemon_device *device;	/* NULL: all, or none */
	struct option_table table;	/* of its parameters */
	char *item;			/* or these */
};

/*
 * Answers
 */

/* Send obj, which is given away. */
static void rpc_send(struct lines_client *client, struct json_object *obj)
{
	size_t len;
	const char *text = json_object_to_json_string_length(
		obj, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

	if (text) {
		lines_write(client, text, len);
		lines_write(client, "\n", 1);
	} else {
		lines_finish(client);
	}
	json_object_put(obj);
}

static struct json_object *rpc_envelope(struct json_object *id)
{
	struct json_object *obj = json_object_new_object();

	json_add(obj, "jsonrpc", json_object_new_string("2.0"));
	json_add(obj, "id", json_object_get(id));
	return obj;
}

static void rpc_send_error(struct lines_client *client, struct json_object *id, int code,
			   const char *message)
{
	struct json_object *obj = rpc_envelope(id), *error = json_object_new_object();

	json_add(error, "code", json_object_new_int(code));
	json_add(error, "message", json_text(message));
	json_add(obj, "error", error);
	rpc_send(client, obj);
}

static void call_free(struct control_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	if (call->client)
		*lines_own(call->client) = NULL;
	json_object_put(call->request);
	free(call->table.values);
	free(call->item);
	free(call);
}

static void call_end(struct control_call *call)
{
	if (call->client)
		lines_go_on(call->client);
	call_free(call);
}

void control_reply(struct control_call *call, struct json_object *result)
{
	struct json_object *obj;

	if (call->client && call->answers) {
		obj = rpc_envelope(call->id);
		json_add(obj, "result", result);
		rpc_send(call->client, obj);
	} else {
		json_object_put(result);
	}
	call_end(call);
}

static void call_error(struct control_call *call, int code, const char *message)
{
	daemon_log(VHOST_LOG_DEBUG, "control: %s: %s", call->method ? call->method->name : "?",
		   message);
	if (call->client && call->answers)
		rpc_send_error(call->client, call->id, code, message);
	call_end(call);
}

void control_fail(struct control_call *call, const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	call_error(call, RPC_FAILED, message);
}

void control_refuse(struct control_call *call, const char *fmt, ...)
{
	char message[MESSAGE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	call_error(call, RPC_INVALID_PARAMS, message);
}

/*
 * For methods
 */

struct daemon_run *control_run(const struct control_call *call)
{
	return call->run;
}

struct daemon_device *control_device(const struct control_call *call)
{
	return call->device;
}

bool control_given(const struct control_call *call, const char *name)
{
	const struct option_def *def;

	for (def = call->table.defs; def && def->name; def++)
		if (!strcmp(def->name, name))
			return call->table.given & BIT(def - call->table.defs);
	return false;
}

int control_take_fd(struct control_call *call)
{
	return call->client ? lines_take_fd(call->client) : -1;
}

/*
 * Calls
 */

static const struct control_method *rpc_find(const struct control_method *methods,
					     const char *name)
{
	for (; methods && methods->name; methods++)
		if (!strcmp(methods->name, name))
			return methods;
	return NULL;
}

static int call_find_device(struct control_call *call, struct json_object *name, char *why)
{
	char names[DEVICE_NAMES_SIZE];

	if (!json_object_is_type(name, json_type_string)) {
		snprintf(why, CONFIG_WHY_SIZE, "device: not of type string");
		return -EINVAL;
	}
	call->device = device_find(call->run, json_object_get_string(name));
	if (call->device)
		return 0;
	device_names(call->run, names);
	snprintf(why, CONFIG_WHY_SIZE, "device: there is no such device; there %s%.180s",
		 *names ? "are: " : "is one without a name", names);
	return -EINVAL;
}

/* The device, which is the method's "device" or goes without saying. */
static int call_take_device(struct control_call *call, struct json_object *params, char *why)
{
	struct daemon_run *run = call->run;
	char names[DEVICE_NAMES_SIZE];
	struct json_object *name;
	int ret;

	if (call->method->scope == CONTROL_PROCESS)
		return 0;
	if (json_object_object_get_ex(params, "device", &name)) {
		ret = call_find_device(call, name, why);
		json_object_object_del(params, "device");
		return ret;
	}
	if (!run->list || (call->method->scope == CONTROL_DEVICE && run->num_devices == 1))
		call->device = run->devices;
	if (call->device || call->method->scope == CONTROL_ALL)
		return 0;
	device_names(run, names);
	snprintf(why, CONFIG_WHY_SIZE, "device: it is required; there are: %.180s", names);
	return -EINVAL;
}

static int call_take_item(struct control_call *call, struct json_object *params, char *why)
{
	call->item = config_item(call->method->item, params, why);
	return call->item ? 0 : -EINVAL;
}

/* The parameters, an object or NULL, as the method wants them. */
static int call_take_params(struct control_call *call, struct json_object *params, char *why)
{
	const struct control_method *method = call->method;
	static const struct option_def none[1];

	if (params && !json_object_is_type(params, json_type_object)) {
		snprintf(why, CONFIG_WHY_SIZE, "params: not an object");
		return -EINVAL;
	}
	if (call_take_device(call, params, why))
		return -EINVAL;
	call->table.defs = method->params ? method->params : none;
	call->table.values = calloc(1, method->size + 1);
	if (!call->table.values) {
		snprintf(why, CONFIG_WHY_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (method->item && !params) {
		snprintf(why, CONFIG_WHY_SIZE, "%s: it is required", method->item->name);
		return -EINVAL;
	}
	if (method->item)
		return call_take_item(call, params, why);
	return params ? config_set(&call->table, 1, params, why) : 0;
}

static void call_begin(struct control_call *call, const char *name, struct json_object *params)
{
	char why[CONFIG_WHY_SIZE];

	call->method = rpc_find(control_methods, name);
	if (!call->method)
		call->method = rpc_find(call->run->daemon->methods, name);
	if (!call->method && call->run->daemon->pauses)
		call->method = rpc_find(limits_methods, name);
	if (!call->method) {
		call_error(call, RPC_METHOD_NOT_FOUND, "there is no such method; see help");
		return;
	}
	if (call_take_params(call, params, why)) {
		call_error(call, RPC_INVALID_PARAMS, why);
		return;
	}
	call->method->fn(call, call->item ? call->item : call->table.values);
}

/* What is wrong with the id of a request, or NULL. */
static const char *rpc_check_id(struct json_object *request, struct json_object **id)
{
	struct json_object *value = json_object_object_get(request, "id");

	if (value && !json_object_is_type(value, json_type_string) &&
	    !json_object_is_type(value, json_type_int))
		return "id is neither a string nor an integer";
	*id = value;
	return NULL;
}

/* The same of the other members. */
static const char *rpc_check(struct json_object *request, struct json_object **method,
			     struct json_object **params)
{
	bool version = false;

	json_object_object_foreach(request, key, value) {
		if (!strcmp(key, "jsonrpc"))
			version = json_object_is_type(value, json_type_string) &&
				  !strcmp(json_object_get_string(value), "2.0");
		else if (!strcmp(key, "method"))
			*method = value;
		else if (!strcmp(key, "params"))
			*params = value;
		else if (strcmp(key, "id"))
			return "it has other members than jsonrpc, id, method and params";
	}
	if (!version)
		return "jsonrpc is not \"2.0\"";
	if (!json_object_is_type(*method, json_type_string))
		return "method is not a string";
	return NULL;
}

/* A call for what the request, which is given away, asks for. */
static void rpc_call(struct lines_client *client, struct json_object *request)
{
	struct daemon_run *run = lines_arg(client);
	struct json_object *id = NULL, *method = NULL, *params = NULL;
	const char *wrong = "not an object";
	struct control_call *call;

	if (json_object_is_type(request, json_type_object))
		wrong = rpc_check_id(request, &id);
	if (!wrong)
		wrong = rpc_check(request, &method, &params);
	call = wrong ? NULL : calloc(1, sizeof(*call));
	if (!call) {
		rpc_send_error(client, id, wrong ? RPC_INVALID_REQUEST : RPC_INTERNAL_ERROR,
			       wrong ? wrong : strerror(ENOMEM));
		json_object_put(request);
		return;
	}
	call->run = run;
	call->client = client;
	call->request = request;
	call->id = id;
	call->answers = json_object_object_get_ex(request, "id", NULL);
	call->next = run->calls;
	call->link = &run->calls;
	if (call->next)
		call->next->link = &call->next;
	run->calls = call;
	*lines_own(client) = call;
	lines_wait(client);
	call_begin(call, json_object_get_string(method), params);
}

static void rpc_line(struct lines_client *client, char *line, size_t len)
{
	struct json_object *request;
	char why[JSON_WHY_SIZE];

	if (len && line[len - 1] == '\r')
		line[--len] = '\0';
	/* Who types may press the key twice. */
	if (!len)
		return;
	request = json_read(line, len, why);
	if (request)
		rpc_call(client, request);
	else
		rpc_send_error(client, NULL, RPC_PARSE_ERROR, why);
}

static void rpc_too_long(struct lines_client *client)
{
	rpc_send_error(client, NULL, RPC_INVALID_REQUEST, "the line is too long");
}

static void rpc_gone(struct lines_client *client)
{
	struct control_call *call = *lines_own(client);

	if (call)
		call->client = NULL;
}

static const struct lines_ops rpc_ops = {
	.line = rpc_line, .too_long = rpc_too_long, .gone = rpc_gone,
};

int control_open(struct daemon_run *run, int fd)
{
	return lines_server_new(&run->control_server, vhost_worker_base(run->control), fd,
				&rpc_ops, run);
}

void control_close(struct daemon_run *run)
{
	if (run->control_server)
		lines_server_free(run->control_server);
	run->control_server = NULL;
	while (run->calls)
		call_free(run->calls);
}
