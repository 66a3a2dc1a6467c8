/* The list of error codes: MR_CODE(number, NAME, class, cause, effect, remedy). No include
 * guard: an X-macro. A number never changes its meaning and is never used again. The parts
 * stand apart to keep the order of their numbers.
 */
#include "base/codes_source.h"

#include "base/codes_kafka.h"

#include "base/codes_target.h"

#include "base/codes_task.h"
