/* Chapters E and L: key/value experts, capacity, dispatch, combination, shared experts (spec/01-expert.md, spec/03-layer.md). */
#include <check.h>
#include <stdlib.h>

int main(void)
{
    Suite *s = suite_create("capacity");
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
