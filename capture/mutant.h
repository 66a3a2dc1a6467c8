/* Mutants: wrong captures on purpose, compiled in with the failpoints only, to show that the
 * tests would see a wrong one. Environment MILLRACE_MUTANT=drop:N, double:N or swap:N: every
 * Nth row is not published, published twice (the second time under a seq of its own), or
 * published after the row behind it.
 */
#ifndef MILLRACE_CAPTURE_MUTANT_H
#define MILLRACE_CAPTURE_MUTANT_H

enum mutant { MUTANT_NONE, MUTANT_DROP, MUTANT_DOUBLE, MUTANT_SWAP };

#if defined(MILLRACE_FAULTS) && MILLRACE_FAULTS
/* What to do with the next row. */
enum mutant
mutant_next(void);
#else
static inline enum mutant
mutant_next(void)
{
    return MUTANT_NONE;
}
#endif

#endif
