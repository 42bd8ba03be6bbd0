/* Chapter G: noise, dropout of experts, sigmoid and GShard gates (spec/02-gate.md). */
#include <check.h>
#include <stdlib.h>

int main(void)
{
    Suite *s = suite_create("gate_noisy");
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
