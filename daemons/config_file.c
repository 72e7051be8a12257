/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * --config=FILE: options from a file, judged as those of the command line are.
 *
 * With a member "devices", an array, each element of that has the options of one device, and what
 * is outside is about the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "json.h"
#include "util.h"

#define FILE_MAX (1u << 20)		/* bytes */

/* All of the file, with a NUL behind; its length, or a negative errno. */
static ssize_t config_slurp(int fd, char *buf)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf + len, FILE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return -errno;
	if (len > FILE_MAX)
		return -EFBIG;
	buf[len] = '\0';
	return (ssize_t)len;
}

static struct json_object *config_parse(int fd, char *why)
{
	char *buf = malloc(FILE_MAX + 2);
	struct json_object *obj = NULL;
	char reason[JSON_WHY_SIZE];
	ssize_t len = buf ? config_slurp(fd, buf) : -ENOMEM;

	if (len < 0)
		snprintf(why, CONFIG_WHY_SIZE, "%s", strerror((int)-len));
	else
		obj = json_read(buf, (size_t)len, reason);
	if (len >= 0 && !obj)
		snprintf(why, CONFIG_WHY_SIZE, "%s", reason);
	free(buf);
	if (obj && !json_object_is_type(obj, json_type_object)) {
		snprintf(why, CONFIG_WHY_SIZE, "not a JSON object");
		json_object_put(obj);
		return NULL;
	}
	return obj;
}

static struct json_object *config_open(const char *path, char *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct json_object *obj;

	if (fd < 0) {
		snprintf(why, CONFIG_WHY_SIZE, "%s", strerror(errno));
		return NULL;
	}
	obj = config_parse(fd, why);
	close(fd);
	return obj;
}

/*
 * A list of devices
 */

/* What errors call the device: its place, and its name if it has one. */
static void config_device_title(struct json_object *obj, unsigned int i, char *title, size_t size)
{
	struct json_object *name;

	if (json_object_object_get_ex(obj, "name", &name) &&
	    json_object_is_type(name, json_type_string))
		snprintf(title, size, "devices[%u] (%.*s)", i, DEVICE_NAME_MAX,
			 json_object_get_string(name));
	else
		snprintf(title, size, "devices[%u]", i);
}

static int config_set_device(struct daemon_device *device, struct json_object *obj,
			     char why[CONFIG_WHY_SIZE])
{
	if (!json_object_is_type(obj, json_type_object)) {
		snprintf(why, CONFIG_WHY_SIZE, "not of type object");
		return -EINVAL;
	}
	if (config_set(device->tables, DEVICE_TABLES, obj, why))
		return -EINVAL;
	if (device->conf.name)
		return 0;
	snprintf(why, CONFIG_WHY_SIZE, "name: it is required");
	return -EINVAL;
}

/* What is wrong with each of them is told. */
static int config_set_devices(struct daemon_run *run,
			      void (*tell)(const struct daemon_run *run, const char *why))
{
	char reason[CONFIG_WHY_SIZE], title[DEVICE_NAME_MAX + 32], why[CONFIG_WHY_SIZE];
	struct json_object *obj;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < run->num_devices; i++) {
		obj = json_object_array_get_idx(run->list, i);
		if (!config_set_device(&run->devices[i], obj, reason))
			continue;
		config_device_title(obj, i, title, sizeof(title));
		snprintf(why, CONFIG_WHY_SIZE, "%s: %.*s", title,
			 CONFIG_WHY_SIZE - (int)sizeof(title) - 4, reason);
		tell(run, why);
		ret = -EINVAL;
	}
	return ret;
}

/* Neither the command line nor the rest of the file may speak of a device which has no name. */
static int config_check_outside(struct daemon_run *run, char why[CONFIG_WHY_SIZE])
{
	const struct option_def *def;
	unsigned int i;

	for (i = 0; i < TABLE_POOL; i++) {
		for (def = run->tables[i].defs; def->name; def++) {
			if (!(run->tables[i].given & BIT(def - run->tables[i].defs)))
				continue;
			snprintf(why, CONFIG_WHY_SIZE, "%s: it has to be said of each of the devices",
				 def->name);
			return -EINVAL;
		}
	}
	return 0;
}

/* Devices in the place of the one which a command line has. */
static int config_make_devices(struct daemon_run *run, char why[CONFIG_WHY_SIZE])
{
	size_t n;

	if (!json_object_is_type(run->list, json_type_array)) {
		snprintf(why, CONFIG_WHY_SIZE, "devices: not of type array");
		return -EINVAL;
	}
	n = json_object_array_length(run->list);
	if (!n || n > DEVICES_MAX) {
		snprintf(why, CONFIG_WHY_SIZE, "devices: %s",
			 n ? "more than 64 of them" : "there is none");
		return -EINVAL;
	}
	if (config_check_outside(run, why))
		return -EINVAL;
	device_free_all(run);
	if (device_new_all(run, (unsigned int)n)) {
		snprintf(why, CONFIG_WHY_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	return 0;
}

/*
 * The file
 */

int daemon_config_take(struct daemon_run *run,
		       void (*tell)(const struct daemon_run *run, const char *why))
{
	char why[CONFIG_WHY_SIZE];
	struct json_object *list;
	bool several = json_object_object_get_ex(run->config, "devices", &list);
	int ret;

	if (several) {
		/* JSON's null is a NULL. */
		run->list = list ? json_object_get(list) : json_object_new_object();
		json_object_object_del(run->config, "devices");
	}
	ret = config_set(run->tables, ARRAY_SIZE(run->tables), run->config, why);
	if (!ret && several)
		ret = config_make_devices(run, why);
	if (ret)
		tell(run, why);
	else if (several)
		ret = config_set_devices(run, tell);
	return ret;
}

static void config_refused(const struct daemon_run *run, const char *why)
{
	daemon_err("--config=%s: %s", run->conf.config, why);
}

int daemon_config_read(struct daemon_run *run)
{
	char why[CONFIG_WHY_SIZE];

	if (!run->conf.config)
		return 0;
	run->config = config_open(run->conf.config, why);
	if (run->config)
		return daemon_config_take(run, config_refused);
	config_refused(run, why);
	return -EINVAL;
}

struct json_object *daemon_config_device(const struct daemon_device *device)
{
	struct json_object *obj;

	if (!device->run->list)
		return daemon_config(device->run);
	obj = json_object_new_object();
	/* It keeps the first place, where people look for it. */
	json_add(obj, "name", json_text(device->conf.name));
	config_get(device->tables, DEVICE_TABLES, obj);
	return obj;
}

struct json_object *daemon_config(const struct daemon_run *run)
{
	struct json_object *obj = json_object_new_object(), *list;
	const struct daemon_device *device;

	if (!run->list) {
		config_get(run->tables, ARRAY_SIZE(run->tables), obj);
	} else {
		config_get(run->tables + TABLE_POOL, RUN_TABLES - TABLE_POOL, obj);
		list = json_object_new_array();
		for_each_device(device, run)
			json_object_array_add(list, daemon_config_device(device));
		json_add(obj, "devices", list);
	}
	/* What it says is there already. */
	json_object_object_del(obj, "config");
	return obj;
}

void daemon_config_print(const struct daemon_run *run)
{
	struct json_object *obj = daemon_config(run);

	printf("%s\n", json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_PRETTY_TAB |
						      JSON_C_TO_STRING_SPACED |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(obj);
}
