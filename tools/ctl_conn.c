/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection to a daemon's control socket. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"

/* A longer answer makes no sense. */
#define ANSWER_MAX (64u << 20)

void ctl_err(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vhostctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
}

int ctl_connect(struct ctl_conn *conn, const char *path, int timeout_ms)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*conn = (struct ctl_conn){ .fd = -1, .timeout_ms = timeout_ms, .pass_fd = -1 };
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	conn->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return -errno;
	if (connect(conn->fd, (const struct sockaddr *)&addr, sizeof(addr))) {
		int err = -errno;

		ctl_close(conn);
		return err;
	}
	return 0;
}

void ctl_close(struct ctl_conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	free(conn->in);
	*conn = (struct ctl_conn){ .fd = -1, .pass_fd = -1 };
}

/* Send it all, and the descriptor with the first part. */
static int ctl_send(struct ctl_conn *conn, const char *text, size_t len)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (conn->pass_fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		*cmsg = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(cmsg), &conn->pass_fd, sizeof(int));
		conn->pass_fd = -1;
	}
	for (; len; text += n, len -= (size_t)n) {
		iov = (struct iovec){ (void *)(uintptr_t)text, len };
		n = sendmsg(conn->fd, &msg, MSG_NOSIGNAL);
		if (n < 0)
			return -errno;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	}
	return 0;
}

static int ctl_make_room(struct ctl_conn *conn)
{
	size_t room = conn->in_room ? conn->in_room * 2 : 4096;
	char *in;

	if (conn->in_len < conn->in_room)
		return 0;
	if (room > ANSWER_MAX)
		return -EMSGSIZE;
	in = realloc(conn->in, room);
	if (!in)
		return -ENOMEM;
	conn->in = in;
	conn->in_room = room;
	return 0;
}

/* One line, its newline becomes a NUL; its length, or a negative errno. */
static ssize_t ctl_receive(struct ctl_conn *conn)
{
	struct pollfd pfd = { .fd = conn->fd, .events = POLLIN };
	char *end;
	ssize_t n;
	int ret;

	conn->in_len = 0;
	for (;;) {
		ret = ctl_make_room(conn);
		if (ret)
			return ret;
		n = poll(&pfd, 1, conn->timeout_ms);
		if (n <= 0)
			return n ? -errno : -ETIMEDOUT;
		n = recv(conn->fd, conn->in + conn->in_len, conn->in_room - conn->in_len, 0);
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		end = memchr(conn->in + conn->in_len, '\n', (size_t)n);
		conn->in_len += (size_t)n;
		if (end) {
			*end = '\0';
			return end - conn->in;
		}
	}
}

static int ctl_broken(struct json_object **result, const char *why)
{
	*result = json_text(why);
	return CTL_BROKEN;
}

/* What the answer, which is given away, has for us. */
static int ctl_judge(const struct ctl_conn *conn, struct json_object *answer,
		     struct json_object **result)
{
	struct json_object *id, *value;
	int ret = CTL_OK;

	if (!json_object_object_get_ex(answer, "id", &id) ||
	    (json_object_is_type(id, json_type_int) &&
	     json_object_get_int64(id) != (int64_t)conn->id)) {
		ret = ctl_broken(result, "an answer to something else");
	} else if (json_object_object_get_ex(answer, "result", &value)) {
		*result = json_object_get(value);
	} else if (json_object_object_get_ex(answer, "error", &value) &&
		   json_object_object_get_ex(value, "message", &value) &&
		   json_object_is_type(value, json_type_string)) {
		*result = json_object_get(value);
		ret = CTL_FAILED;
	} else {
		ret = ctl_broken(result, "an answer which makes no sense");
	}
	json_object_put(answer);
	return ret;
}

static int ctl_send_call(struct ctl_conn *conn, const char *method, struct json_object *params)
{
	struct json_object *call = json_object_new_object();
	const char *text;
	char *line = NULL;
	int len, ret;

	json_add(call, "jsonrpc", json_object_new_string("2.0"));
	json_add(call, "id", json_object_new_int64(++conn->id));
	json_add(call, "method", json_object_new_string(method));
	if (params)
		json_add(call, "params", params);
	text = json_object_to_json_string_ext(call, JSON_C_TO_STRING_PLAIN);
	len = text ? asprintf(&line, "%s\n", text) : -1;
	ret = len < 0 ? -ENOMEM : ctl_send(conn, line, (size_t)len);
	if (len >= 0)
		free(line);
	json_object_put(call);
	return ret;
}

int ctl_call(struct ctl_conn *conn, const char *method, struct json_object *params,
	     struct json_object **result)
{
	int ret = ctl_send_call(conn, method, params);
	struct json_object *answer;
	char why[JSON_WHY_SIZE];
	ssize_t len;

	/* Who has been refused while he was still talking has got an answer nevertheless. */
	if (ret && ret != -EPIPE && ret != -ECONNRESET)
		return ctl_broken(result, strerror(-ret));
	len = ctl_receive(conn);
	if (len < 0)
		return ctl_broken(result, strerror((int)-len));
	answer = json_read(conn->in, (size_t)len, why);
	if (!answer)
		return ctl_broken(result, why);
	return ctl_judge(conn, answer, result);
}
