(* Total variation and Hellinger distance: (T.8), for densities on finitely many points and on an interval, and for means over x. *)
Require Import Reals Lra Lia Psatz.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums.
Open Scope R_scope.

Lemma abs_square_difference a b : 0 <= a -> 0 <= b -> Rabs (a * a - b * b) = Rabs (a - b) * (a + b).
Proof. intros Ha Hb. replace (a * a - b * b) with ((a - b) * (a + b)) by ring. rewrite Rabs_mult, (Rabs_pos_eq (a + b)); lra. Qed.

Lemma abs_times_abs x : Rabs x * Rabs x = x * x.
Proof. rewrite <- Rabs_mult. apply Rabs_pos_eq. nra. Qed.

Lemma hellinger_pointwise a b : 0 <= a -> 0 <= b -> (a - b) * (a - b) <= Rabs (a * a - b * b).
Proof.
  intros Ha Hb. rewrite abs_square_difference, <- abs_times_abs by auto. apply Rmult_le_compat_l; [apply Rabs_pos|].
  apply Rabs_le. lra.
Qed.

(* Finitely many points: p and q are masses. *)
Definition tv n (p q : vec) := Sum n (fun i => Rabs (p i - q i)) / 2.
Definition hellinger2 n (p q : vec) := Sum n (fun i => (sqrt (p i) - sqrt (q i)) * (sqrt (p i) - sqrt (q i))) / 2.

Theorem hellinger_below_tv n p q : (forall i, (i < n)%nat -> 0 <= p i) -> (forall i, (i < n)%nat -> 0 <= q i) ->
  hellinger2 n p q <= tv n p q.
Proof.
  intros Hp Hq. apply Rmult_le_compat_r; [lra|]. apply Sum_le. intros i Hi.
  assert (L := hellinger_pointwise (sqrt (p i)) (sqrt (q i)) (sqrt_pos _) (sqrt_pos _)).
  rewrite !sqrt_def in L by auto. exact L.
Qed.

(* V^2 <= h^2 (2 - h^2), hence V^2 / 2 <= h^2. *)
Theorem tv_below_hellinger n p q : (forall i, (i < n)%nat -> 0 <= p i) -> (forall i, (i < n)%nat -> 0 <= q i) ->
  Sum n p = 1 -> Sum n q = 1 -> tv n p q * tv n p q <= hellinger2 n p q * (2 - hellinger2 n p q).
Proof.
  intros Hp Hq Sp Sq. set (a := fun i => Rabs (sqrt (p i) - sqrt (q i))). set (b := fun i => sqrt (p i) + sqrt (q i)).
  assert (C := Sum_cauchy n a b).
  assert (E1 : dot n a b = 2 * tv n p q).
  { unfold tv. replace (2 * (Sum n (fun i => Rabs (p i - q i)) / 2)) with (Sum n (fun i => Rabs (p i - q i))) by field.
    apply Sum_ext. intros i Hi. unfold a, b. rewrite <- abs_square_difference by apply sqrt_pos. rewrite !sqrt_def; auto. }
  assert (E2 : dot n a a = 2 * hellinger2 n p q).
  { unfold hellinger2. unfold dot.
    rewrite (Sum_ext n (fun i => a i * a i) (fun i => (sqrt (p i) - sqrt (q i)) * (sqrt (p i) - sqrt (q i))))
      by (intros; apply abs_times_abs). field. }
  assert (E3 : dot n a a + dot n b b = 4).
  { unfold dot. rewrite <- Sum_plus, (Sum_ext n _ (fun i => 2 * p i + 2 * q i)).
    - rewrite Sum_plus, !Sum_scal, Sp, Sq. ring.
    - intros i Hi. unfold a, b. rewrite abs_times_abs.
      replace (2 * p i + 2 * q i) with (2 * (sqrt (p i) * sqrt (p i)) + 2 * (sqrt (q i) * sqrt (q i)))
        by (rewrite !sqrt_def; auto). ring. }
  rewrite E1, E2 in C. replace (dot n b b) with (4 - 2 * hellinger2 n p q) in C by lra. lra.
Qed.

(* Both pass to the means over x, here of n values with V_t^2 <= 2 h_t^2. *)
Theorem tv_mean n (V h2 : vec) : (0 < n)%nat -> (forall t, (t < n)%nat -> V t * V t <= 2 * h2 t) ->
  (Sum n V / INR n) * (Sum n V / INR n) <= 2 * (Sum n h2 / INR n).
Proof.
  intros Hn H. assert (Hp := lt_0_INR n Hn). assert (C := Sum_cauchy n V (fun _ => 1)).
  replace (dot n V (fun _ => 1)) with (Sum n V) in C by (apply Sum_ext; intros; ring).
  replace (dot n (fun _ => 1) (fun _ => 1)) with (INR n) in C by (unfold dot; rewrite Sum_const; ring).
  assert (L : dot n V V <= 2 * Sum n h2) by (rewrite <- Sum_scal; apply Sum_le; auto).
  apply (Rmult_le_reg_r (INR n * INR n)); [nra|].
  replace (Sum n V / INR n * (Sum n V / INR n) * (INR n * INR n)) with (Sum n V * Sum n V) by (field; lra).
  replace (2 * (Sum n h2 / INR n) * (INR n * INR n)) with (2 * Sum n h2 * INR n) by (field; lra). nra.
Qed.

(* On an interval, for densities p = f^2 and q = g^2 with continuous roots f, g >= 0. *)
Definition integral (f : R -> R) (a b : R) : R := RInt f a b.
Definition everywhere_continuous (f : R -> R) := forall x, continuous f x.
Definition itv a b (f g : R -> R) := integral (fun y => Rabs (f y * f y - g y * g y)) a b / 2.
Definition ihellinger2 a b (f g : R -> R) := integral (fun y => (f y - g y) * (f y - g y)) a b / 2.

Lemma integrable f a b : everywhere_continuous f -> ex_RInt f a b.
Proof. intros C. exact (ex_RInt_continuous (V := R_CompleteNormedModule) f a b (fun x _ => C x)). Qed.

Lemma c_mult f g : everywhere_continuous f -> everywhere_continuous g -> everywhere_continuous (fun y => f y * g y).
Proof. intros F G x. exact (continuous_mult f g x (F x) (G x)). Qed.

Lemma c_minus f g : everywhere_continuous f -> everywhere_continuous g -> everywhere_continuous (fun y => f y - g y).
Proof. intros F G x. exact (continuous_minus f g x (F x) (G x)). Qed.

Lemma c_plus f g : everywhere_continuous f -> everywhere_continuous g -> everywhere_continuous (fun y => f y + g y).
Proof. intros F G x. exact (continuous_plus f g x (F x) (G x)). Qed.

Lemma c_scal f c : everywhere_continuous f -> everywhere_continuous (fun y => c * f y).
Proof. intros F. exact (c_mult (fun _ => c) f (fun x => continuous_const c x) F). Qed.

Lemma c_abs f : everywhere_continuous f -> everywhere_continuous (fun y => Rabs (f y)).
Proof. intros F x. exact (continuous_Rabs_comp f x (F x)). Qed.

Lemma integral_ext f g a b : (forall y, f y = g y) -> integral f a b = integral g a b.
Proof. intros E. exact (RInt_ext f g a b (fun y _ => E y)). Qed.

Lemma integral_plus f g a b : everywhere_continuous f -> everywhere_continuous g ->
  integral (fun y => f y + g y) a b = integral f a b + integral g a b.
Proof. intros F G. exact (RInt_plus f g a b (integrable f a b F) (integrable g a b G)). Qed.

Lemma integral_scal f c a b : everywhere_continuous f -> integral (fun y => c * f y) a b = c * integral f a b.
Proof. intros F. exact (RInt_scal f a b c (integrable f a b F)). Qed.

Lemma integral_nonneg f a b : a <= b -> everywhere_continuous f -> (forall y, 0 <= f y) -> 0 <= integral f a b.
Proof. intros Hab F P. exact (RInt_ge_0 f a b Hab (integrable f a b F) (fun y _ => P y)). Qed.

Lemma integral_le f g a b : a <= b -> everywhere_continuous f -> everywhere_continuous g -> (forall y, f y <= g y) ->
  integral f a b <= integral g a b.
Proof. intros Hab F G L. exact (RInt_le f g a b Hab (integrable f a b F) (integrable g a b G) (fun y _ => L y)). Qed.

Lemma integral_cauchy f g a b : a <= b -> everywhere_continuous f -> everywhere_continuous g ->
  integral (fun y => f y * g y) a b * integral (fun y => f y * g y) a b <=
  integral (fun y => f y * f y) a b * integral (fun y => g y * g y) a b.
Proof.
  intros Hab F G. apply cauchy_of_squares. intros l m.
  set (ff := fun y => f y * f y). set (fg := fun y => f y * g y). set (gg := fun y => g y * g y).
  set (d := fun y => l * f y - m * g y).
  assert (D : everywhere_continuous d) by exact (c_minus _ _ (c_scal f l F) (c_scal g m G)).
  assert (N := integral_nonneg (fun y => d y * d y) a b Hab (c_mult d d D D) (fun y => Rle_0_sqr (d y))).
  rewrite (integral_ext (fun y => d y * d y) (fun y => l * l * ff y + (-2 * (l * m) * fg y + m * m * gg y)) a b) in N
    by (intros y; unfold d, ff, fg, gg; ring).
  assert (C1 := c_scal ff (l * l) (c_mult f f F F)). assert (C2 := c_scal fg (-2 * (l * m)) (c_mult f g F G)).
  assert (C3 := c_scal gg (m * m) (c_mult g g G G)).
  rewrite (integral_plus (fun y => l * l * ff y) (fun y => -2 * (l * m) * fg y + m * m * gg y) a b C1 (c_plus _ _ C2 C3)) in N.
  rewrite (integral_plus (fun y => -2 * (l * m) * fg y) (fun y => m * m * gg y) a b C2 C3) in N.
  rewrite (integral_scal ff (l * l) a b (c_mult f f F F)), (integral_scal fg (-2 * (l * m)) a b (c_mult f g F G)),
    (integral_scal gg (m * m) a b (c_mult g g G G)) in N. lra.
Qed.

Theorem hellinger_below_tv_interval a b f g : a <= b -> everywhere_continuous f -> everywhere_continuous g ->
  (forall y, 0 <= f y) -> (forall y, 0 <= g y) -> ihellinger2 a b f g <= itv a b f g.
Proof.
  intros Hab F G Hf Hg. apply Rmult_le_compat_r; [lra|]. assert (D := c_minus f g F G).
  exact (integral_le _ _ a b Hab (c_mult _ _ D D) (c_abs _ (c_minus _ _ (c_mult f f F F) (c_mult g g G G)))
    (fun y => hellinger_pointwise (f y) (g y) (Hf y) (Hg y))).
Qed.

(* Of total mass at most 1 each, as densities have on any part of the line. *)
Theorem tv_below_hellinger_interval a b f g : a <= b -> everywhere_continuous f -> everywhere_continuous g ->
  (forall y, 0 <= f y) -> (forall y, 0 <= g y) ->
  integral (fun y => f y * f y) a b <= 1 -> integral (fun y => g y * g y) a b <= 1 ->
  itv a b f g * itv a b f g <= ihellinger2 a b f g * (2 - ihellinger2 a b f g).
Proof.
  intros Hab F G Hf Hg Mf Mg. set (u := fun y => Rabs (f y - g y)). set (w := fun y => f y + g y).
  assert (D := c_minus f g F G). assert (U : everywhere_continuous u) by exact (c_abs _ D).
  assert (W : everywhere_continuous w) by exact (c_plus f g F G).
  assert (C := integral_cauchy u w a b Hab U W).
  rewrite (integral_ext (fun y => u y * w y) (fun y => Rabs (f y * f y - g y * g y)) a b) in C
    by (intros y; symmetry; exact (abs_square_difference (f y) (g y) (Hf y) (Hg y))).
  assert (E := integral_plus (fun y => u y * u y) (fun y => w y * w y) a b (c_mult u u U U) (c_mult w w W W)). cbv beta in E.
  rewrite (integral_ext (fun y => u y * u y + w y * w y) (fun y => 2 * (f y * f y) + 2 * (g y * g y)) a b) in E
    by (intros y; unfold u, w; rewrite abs_times_abs; ring).
  rewrite (integral_plus (fun y => 2 * (f y * f y)) (fun y => 2 * (g y * g y)) a b
    (c_scal _ 2 (c_mult f f F F)) (c_scal _ 2 (c_mult g g G G))) in E.
  rewrite (integral_scal (fun y => f y * f y) 2 a b (c_mult f f F F)),
    (integral_scal (fun y => g y * g y) 2 a b (c_mult g g G G)) in E.
  assert (A : integral (fun y => u y * u y) a b = integral (fun y => (f y - g y) * (f y - g y)) a b)
    by (apply integral_ext; intros y; exact (abs_times_abs (f y - g y))).
  assert (P := integral_nonneg (fun y => (f y - g y) * (f y - g y)) a b Hab (c_mult _ _ D D) (fun y => Rle_0_sqr (f y - g y))).
  rewrite A in C, E. unfold itv, ihellinger2.
  set (V := integral (fun y => Rabs (f y * f y - g y * g y)) a b) in *.
  set (h := integral (fun y => (f y - g y) * (f y - g y)) a b) in *. set (s := integral (fun y => w y * w y) a b) in *.
  assert (h * s <= h * (4 - h)) by (apply Rmult_le_compat_l; lra). lra.
Qed.

(* In the form that the chapter quotes. *)
Theorem tv_hellinger_bounds V h2 : 0 <= h2 -> h2 <= V -> V * V <= h2 * (2 - h2) -> V * V / 2 <= h2 <= V.
Proof. intros P L C. assert (0 <= h2 * h2) by exact (Rle_0_sqr _). lra. Qed.
