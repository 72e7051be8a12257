/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <errno.h>

int proto_postcopy_advise(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}

int proto_postcopy_listen(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}

int proto_postcopy_end(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}
