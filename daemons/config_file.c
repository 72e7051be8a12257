/* SPDX-License-Identifier: BSD-3-Clause */
/* --config=FILE: options from a file, judged as those of the command line are. */
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

int daemon_config_read(struct daemon_run *run)
{
	char why[CONFIG_WHY_SIZE];
	int ret = -EINVAL;

	if (!run->conf.config)
		return 0;
	run->config = config_open(run->conf.config, why);
	if (run->config)
		ret = config_set(run->tables, ARRAY_SIZE(run->tables), run->config, why);
	if (ret)
		daemon_err("--config=%s: %s", run->conf.config, why);
	return ret;
}

struct json_object *daemon_config(const struct daemon_run *run)
{
	struct json_object *obj = json_object_new_object();

	config_get(run->tables, ARRAY_SIZE(run->tables), obj);
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
