/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filter which lets chosen operations fail, so that tests see how errors arrive.
 *
 * The rules are a text, separated by commas: OP[@OFFSET][:ERROR][*COUNT].
 *
 *	write@65536:EIO		writes which touch the byte at 65536 fail
 *	flush:ENOSPC*1		the first flush fails
 *	any			everything fails
 *
 * OP is read, write, flush, discard, zeroes, map or any; OFFSET is in bytes, and without it all
 * of them; ERROR is EIO (the default), ENOSPC, EROFS, EOPNOTSUPP or a number.  COUNT is how
 * often the rule holds, over all channels; without it always.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "storage/engine.h"

#define FAULT_RULES	16

struct fault_rule {
	unsigned int ops;		/* bits by enum storage_op */
	bool anywhere;
	uint64_t offset;		/* unless anywhere */
	int err;			/* negative errno */
	atomic_int left;		/* any worker: times to hold; negative: always */
};

struct fault {
	struct storage *lower;		/* who does what does not fail */
	struct fault_rule rules[FAULT_RULES];
	unsigned int count;
};

struct fault_chan {
	struct storage_chan chan;	/* first */
	struct storage_chan *lower;
};

/*
 * Rules
 */

static const char *const fault_op_names[STORAGE_OPS] = {
	"read", "write", "flush", "discard", "zeroes", "map",
};

static bool fault_parse_op(const char *name, unsigned int *ops)
{
	unsigned int i;

	*ops = strcmp(name, "any") ? 0 : (1u << STORAGE_OPS) - 1;
	for (i = 0; i < STORAGE_OPS; i++) {
		if (!strcmp(name, fault_op_names[i]))
			*ops = 1u << i;
	}
	return *ops;
}

static bool fault_parse_number(const char *text, uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 0);
	return end != text && !*end;
}

static bool fault_parse_error(const char *name, int *err)
{
	static const struct {
		const char *name;
		int err;
	} known[] = {
		{ "EIO", EIO }, { "ENOSPC", ENOSPC }, { "EROFS", EROFS },
		{ "EOPNOTSUPP", EOPNOTSUPP },
	};
	uint64_t number;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(name, known[i].name)) {
			*err = -known[i].err;
			return true;
		}
	}
	if (!fault_parse_number(name, &number) || !number || number > 4095)
		return false;
	*err = -(int)number;
	return true;
}

/* Cut off what stands behind the mark; NULL if the mark is not there. */
static char *fault_cut(char *text, char mark)
{
	char *p = strchr(text, mark);

	if (p)
		*p++ = '\0';
	return p;
}

static bool fault_parse_rule(struct fault_rule *rule, char *text)
{
	const char *count = fault_cut(text, '*');
	const char *error = fault_cut(text, ':');
	const char *offset = fault_cut(text, '@');
	uint64_t left = 0;

	if (!fault_parse_op(text, &rule->ops) ||
	    !fault_parse_error(error ? error : "EIO", &rule->err))
		return false;
	rule->anywhere = !offset;
	if (offset && !fault_parse_number(offset, &rule->offset))
		return false;
	if (count && (!fault_parse_number(count, &left) || left > INT32_MAX))
		return false;
	atomic_init(&rule->left, count ? (int)left : -1);
	return true;
}

static int fault_parse(struct fault *fault, const char *rules, const struct storage_why *why)
{
	char *copy = strdup(rules), *save = NULL, *text;
	int err = copy ? 0 : storage_why(why, -ENOMEM, "out of memory");

	for (text = copy ? strtok_r(copy, ",", &save) : NULL; text && !err;
	     text = strtok_r(NULL, ",", &save)) {
		if (fault->count == FAULT_RULES ||
		    !fault_parse_rule(&fault->rules[fault->count++], text))
			err = storage_why(why, -EINVAL, "not a rule for faults: %s", text);
	}
	free(copy);
	return err;
}

static bool fault_holds(struct fault_rule *rule, const struct storage_io *io)
{
	int left;

	if (!(rule->ops & 1u << io->op))
		return false;
	/* io->offset <= rule->offset < io->offset + io->len, without the sum */
	if (!rule->anywhere && (rule->offset < io->offset || rule->offset - io->offset >= io->len))
		return false;
	left = atomic_load(&rule->left);
	while (left > 0) {
		if (atomic_compare_exchange_weak(&rule->left, &left, left - 1))
			return true;
	}
	return left < 0;
}

/*
 * The filter
 */

static void fault_close(struct storage *st)
{
	struct fault *fault = st->priv;

	storage_close(fault->lower);
	free(fault);
}

static int fault_chan_open(struct storage_chan *chan)
{
	const struct fault *fault = chan->st->priv;
	struct fault_chan *fc = container_of(chan, struct fault_chan, chan);

	return storage_chan_open(fault->lower, chan->worker, &fc->lower);
}

static void fault_chan_close(struct storage_chan *chan)
{
	storage_chan_close(container_of(chan, struct fault_chan, chan)->lower);
}

static void fault_submit(struct storage_chan *chan, struct storage_io *io)
{
	struct storage_chan *lower = container_of(chan, struct fault_chan, chan)->lower;
	struct fault *fault = chan->st->priv;
	unsigned int i;

	for (i = 0; i < fault->count; i++) {
		if (fault_holds(&fault->rules[i], io)) {
			storage_complete(io, fault->rules[i].err);
			return;
		}
	}
	lower->st->ops->submit(lower, io);
}

static void fault_commit(struct storage_chan *chan)
{
	storage_commit(container_of(chan, struct fault_chan, chan)->lower);
}

static int fault_resize(struct storage *st, uint64_t *size, const struct storage_why *why)
{
	struct storage *lower = ((struct fault *)st->priv)->lower;

	return lower->ops->resize(lower, size, why);
}

static const struct storage_ops fault_ops = {
	.name = "fault",
	.chan_size = sizeof(struct fault_chan),
	.close = fault_close,
	.chan_open = fault_chan_open,
	.chan_close = fault_chan_close,
	.submit = fault_submit,
	.commit = fault_commit,
	.resize = fault_resize,
};

int fault_wrap(struct storage **stp, const struct storage_params *params,
	       const struct storage_why *why)
{
	struct fault *fault = calloc(1, sizeof(*fault));
	struct storage *st = calloc(1, sizeof(*st));
	int err;

	if (!fault || !st)
		err = storage_why(why, -ENOMEM, "out of memory");
	else
		err = fault_parse(fault, params->fault, why);
	if (err) {
		free(fault);
		free(st);
		return err;
	}
	/* Seen from above it is the image itself. */
	*st = **stp;
	pthread_mutex_init(&st->lock, NULL);
	st->ops = &fault_ops;
	st->file = NULL;
	st->priv = fault;
	fault->lower = *stp;
	*stp = st;
	return 0;
}
