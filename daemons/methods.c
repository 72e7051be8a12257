/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of the control socket which all daemons have. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "internal.h"
#include "util.h"

/*
 * help, version, config
 */

/* The parameter which says what the method is about. */
static void method_add_device(struct json_object *params, enum control_scope scope)
{
	struct json_object *about;

	if (scope == CONTROL_PROCESS)
		return;
	about = json_object_new_object();
	json_add(about, "type", json_object_new_string("text"));
	json_add(about, "help", json_object_new_string(
			 scope == CONTROL_ALL ? "only this device, of several" :
			 "which device; it can be left out if there is only one"));
	json_add(params, "device", about);
}

static struct json_object *method_params(const struct control_method *method)
{
	struct json_object *params, *item;

	if (method->item) {
		params = config_describe(method->item->keys);
		item = json_object_new_object();
		json_add(item, "type", json_object_new_string("text"));
		json_add(item, "help", json_object_new_string(method->item->arg));
		json_add(params, method->item->name, item);
	} else {
		params = config_describe(method->params);
	}
	method_add_device(params, method->scope);
	return params;
}

static void method_help_table(struct json_object *result, const struct control_method *method)
{
	struct json_object *about;

	for (; method && method->name; method++) {
		about = json_object_new_object();
		json_add(about, "help", json_object_new_string(method->help));
		json_add(about, "params", method_params(method));
		json_add(result, method->name, about);
	}
}

static void method_help(struct control_call *call, const void *values)
{
	struct json_object *result = json_object_new_object();

	(void)values;
	method_help_table(result, control_methods);
	if (control_run(call)->daemon->pauses)
		method_help_table(result, limits_methods);
	method_help_table(result, control_run(call)->daemon->methods);
	control_reply(call, result);
}

static void method_version(struct control_call *call, const void *values)
{
	struct json_object *result = json_object_new_object();

	(void)values;
	json_add(result, "name", json_object_new_string(control_run(call)->daemon->name));
	json_add(result, "version", json_object_new_string(PACKAGE_VERSION));
	json_add(result, "library", json_object_new_string(vhost_version()));
	control_reply(call, result);
}

static void method_config(struct control_call *call, const void *values)
{
	const struct daemon_device *device = control_device(call);

	(void)values;
	control_reply(call, device ? daemon_config_device(device) :
		      daemon_config(control_run(call)));
}

/* Call done() when the workers have said what they know of their queues. */
static void method_ask_stats(struct control_call *call,
			     void (*done)(struct daemon_run *run, void *arg))
{
	if (stats_ask(control_run(call), done, call))
		control_fail(call, "out of memory");
}

/*
 * status
 *
 * What is said of a device goes into the result, if it is about one; of each of several into an
 * element of "devices", with its name.
 */

/* Add to the result what add() has to say about the device, or about each. */
static void method_add_devices(struct control_call *call, struct json_object *result,
			       void (*add)(struct daemon_device *device, struct json_object *obj))
{
	struct daemon_device *device = control_device(call);
	struct json_object *list, *about;

	if (device) {
		add(device, result);
		return;
	}
	list = json_object_new_array();
	for_each_device(device, control_run(call)) {
		about = json_object_new_object();
		json_add(about, "name", json_object_new_string(device->conf.name));
		add(device, about);
		json_object_array_add(list, about);
	}
	json_add(result, "devices", list);
}

static void method_status_device(struct daemon_device *device, struct json_object *result)
{
	const struct daemon *d = device->run->daemon;
	char text[DAEMON_STATUS_SIZE], features[24];

	device_status(device, text, sizeof(text));
	json_add(result, "status", json_text(text));
	if (device->limits)
		json_add(result, "quiesced", json_object_new_boolean(limits_paused(device)));
	json_add(result, "connected", json_object_new_boolean(device->connected));
	if (device->connected) {
		snprintf(features, sizeof(features), "0x%llx",
			 (unsigned long long)vhost_dev_features(device->dev));
		json_add(result, "connected-for",
			 json_object_new_int64(time(NULL) - device->connected_at));
		json_add(result, "features", json_object_new_string(features));
	}
	json_add(result, "queues", json_object_new_int((int)stats_queues(device)));
	json_add(result, "outstanding", json_object_new_uint64(stats_outstanding(device)));
	json_add(result, "threads", json_object_new_int((int)device->num_workers));
	if (d->status)
		d->status(device, result);
}

static void method_status_done(struct daemon_run *run, void *arg)
{
	struct control_call *call = arg;
	struct json_object *result = json_object_new_object();
	char text[DAEMON_STATUS_SIZE];

	daemon_status(run, text, sizeof(text));
	json_add(result, "name", json_object_new_string(run->daemon->name));
	json_add(result, "pid", json_object_new_int(getpid()));
	json_add(result, "status", json_text(text));
	json_add(result, "running-for", json_object_new_int64(time(NULL) - run->started_at));
	json_add(result, "stopping", json_object_new_boolean(run->stopping));
	if (control_device(call) && control_device(call)->conf.name)
		json_add(result, "device",
			 json_object_new_string(control_device(call)->conf.name));
	method_add_devices(call, result, method_status_device);
	control_reply(call, result);
}

static void method_status(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_status_done);
}

/*
 * stats, stats-reset
 */

static void method_stats_done(struct daemon_run *run, void *arg)
{
	struct json_object *result = json_object_new_object();

	(void)run;
	method_add_devices(arg, result, stats_add);
	control_reply(arg, result);
}

static void method_metrics_done(struct daemon_run *run, void *arg)
{
	size_t len = 0;
	char *text = metrics_text(run, control_device(arg), &len);

	if (text)
		control_reply(arg, json_object_new_string_len(text, (int)len));
	else
		control_fail(arg, "out of memory");
	free(text);
}

static void method_reset_done(struct daemon_run *run, void *arg)
{
	struct daemon_device *device;

	for_each_device(device, run)
		if (!control_device(arg) || device == control_device(arg))
			stats_reset(device);
	control_reply(arg, NULL);
}

static void method_stats(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_stats_done);
}

static void method_metrics(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_metrics_done);
}

static void method_stats_reset(struct control_call *call, const void *values)
{
	(void)values;
	method_ask_stats(call, method_reset_done);
}

/*
 * log-level, quit
 */

struct level_params {
	unsigned int level;		/* place in daemon_log_levels */
};

static const struct option_def level_params[] = {
	{ "level", OPTION_CHOICE, offsetof(struct level_params, level),
	  .choices = daemon_log_levels, .help = "what to say from now on" },
	{ 0 }
};

static void method_log_level(struct control_call *call, const void *values)
{
	const struct level_params *params = values;
	struct daemon_run *run = control_run(call);
	struct json_object *result;

	if (control_given(call, "level"))
		daemon_set_level(run, params->level);
	result = json_object_new_object();
	json_add(result, "level",
		 json_object_new_string(daemon_log_levels[run->conf.log_level]));
	control_reply(call, result);
}

static void method_quit(struct control_call *call, const void *values)
{
	struct daemon_run *run = control_run(call);

	(void)values;
	daemon_log(VHOST_LOG_INFO, "asked to quit");
	control_reply(call, NULL);
	daemon_stop(run);
}

const struct control_method control_methods[] = {
	{ "help", "what there is to ask for", .scope = CONTROL_PROCESS, .fn = method_help },
	{ "version", "which program this is", .scope = CONTROL_PROCESS, .fn = method_version },
	{ "status", "what it does at the moment", .scope = CONTROL_ALL, .fn = method_status },
	{ "stats", "counters of the device and of each queue", .scope = CONTROL_ALL, .fn = method_stats },
	{ "stats-reset", "let the counters of stats begin at zero", .scope = CONTROL_ALL, .fn = method_stats_reset },
	{ "metrics", "the counters as OpenMetrics text", .scope = CONTROL_ALL, .fn = method_metrics },
	{ "config", "the options which have been set", .scope = CONTROL_ALL, .fn = method_config },
	{ "log-level", "what is said on stderr, or what is to be", CONTROL_PROCESS,
	  level_params, sizeof(struct level_params), .fn = method_log_level },
	{ "quit", "drain, and end the process", .scope = CONTROL_PROCESS, .fn = method_quit },
	{ 0 }
};
