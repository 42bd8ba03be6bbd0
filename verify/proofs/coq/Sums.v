(* Finite sums over 0 .. n-1, taken left to right from 0 as in (N.10), but of real numbers; vectors and matrices are functions
   of their indices, of which only those below the stated sizes are looked at. *)
Require Import Reals Lra Lia Arith Psatz.
Open Scope R_scope.

Definition vec := nat -> R.
Definition mat := nat -> nat -> R.

Fixpoint Sum (n : nat) (f : vec) : R := match n with O => 0 | S m => Sum m f + f m end.
Definition dot n (x y : vec) := Sum n (fun i => x i * y i).
Definition dot2 m n (A B : mat) := Sum m (fun i => dot n (A i) (B i)).
Definition delta (i j : nat) : R := if i =? j then 1 else 0.

Lemma Sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> Sum n f = Sum n g.
Proof. intros H. induction n as [|n IH]; simpl; auto. rewrite IH, H; auto. Qed.

Lemma Sum_zero n : Sum n (fun _ => 0) = 0.
Proof. induction n; simpl; lra. Qed.

Lemma Sum_plus n f g : Sum n (fun i => f i + g i) = Sum n f + Sum n g.
Proof. induction n; simpl; lra. Qed.

Lemma Sum_minus n f g : Sum n (fun i => f i - g i) = Sum n f - Sum n g.
Proof. induction n; simpl; lra. Qed.

Lemma Sum_opp n f : Sum n (fun i => - f i) = - Sum n f.
Proof. induction n; simpl; lra. Qed.

Lemma Sum_scal n c f : Sum n (fun i => c * f i) = c * Sum n f.
Proof. induction n as [|n IH]; simpl; try rewrite IH; ring. Qed.

Lemma Sum_scal_r n c f : Sum n (fun i => f i * c) = Sum n f * c.
Proof. induction n as [|n IH]; simpl; try rewrite IH; ring. Qed.

Lemma Sum_div n c f : Sum n (fun i => f i / c) = Sum n f / c.
Proof. apply Sum_scal_r. Qed.

Lemma Sum_const n c : Sum n (fun _ => c) = INR n * c.
Proof. induction n as [|n IH]; [simpl; ring|]. rewrite S_INR. simpl. rewrite IH. ring. Qed.

Lemma Sum_swap m n (f : mat) : Sum m (fun i => Sum n (f i)) = Sum n (fun j => Sum m (fun i => f i j)).
Proof.
  induction m as [|m IH]; simpl.
  - now rewrite Sum_zero.
  - now rewrite IH, <- Sum_plus.
Qed.

Lemma Sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> Sum n f <= Sum n g.
Proof.
  intros H. induction n as [|n IH]; simpl; [lra|].
  specialize (H n (Nat.lt_succ_diag_r n)) as Hn. enough (Sum n f <= Sum n g) by lra. auto.
Qed.

Lemma Sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= Sum n f.
Proof. intros H. rewrite <- (Sum_zero n). now apply Sum_le. Qed.

Lemma Sum_pos n f : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 < f i) -> 0 < Sum n f.
Proof.
  intros Hn H. destruct n as [|n]; [lia|]. simpl.
  assert (0 <= Sum n f) by (apply Sum_nonneg; intros i Hi; left; auto).
  specialize (H n (Nat.lt_succ_diag_r n)). lra.
Qed.

Lemma Sum_ge_term n f j : (j < n)%nat -> (forall i, (i < n)%nat -> 0 <= f i) -> f j <= Sum n f.
Proof.
  intros Hj H. induction n as [|n IH]; [lia|]. simpl.
  assert (0 <= Sum n f) by (apply Sum_nonneg; auto).
  destruct (Nat.eq_dec j n) as [->|Hne]; [lra|].
  assert (f j <= Sum n f) by (apply IH; auto; lia). specialize (H n (Nat.lt_succ_diag_r n)). lra.
Qed.

Lemma delta_same i : delta i i = 1.
Proof. unfold delta. now rewrite Nat.eqb_refl. Qed.

Lemma delta_other i j : i <> j -> delta i j = 0.
Proof. intros H. unfold delta. destruct (Nat.eqb_spec i j); congruence. Qed.

Lemma delta_sym i j : delta i j = delta j i.
Proof. unfold delta. now rewrite Nat.eqb_sym. Qed.

Lemma Sum_delta n j f : (j < n)%nat -> Sum n (fun i => delta i j * f i) = f j.
Proof.
  intros Hj. induction n as [|n IH]; [lia|]. simpl.
  destruct (Nat.eq_dec j n) as [->|Hne].
  - rewrite delta_same, (Sum_ext n _ (fun _ => 0)), Sum_zero; [ring|].
    intros i Hi. rewrite delta_other; [ring|lia].
  - rewrite IH, delta_other; [ring|lia|lia].
Qed.

Lemma Sum_delta_l n j f : (j < n)%nat -> Sum n (fun i => delta j i * f i) = f j.
Proof. intros Hj. rewrite <- (Sum_delta n j f Hj). apply Sum_ext. intros. now rewrite delta_sym. Qed.

Lemma Sum_delta_r n j f : (j < n)%nat -> Sum n (fun i => f i * delta i j) = f j.
Proof. intros Hj. rewrite <- (Sum_delta n j f Hj). apply Sum_ext. intros. ring. Qed.

Lemma Sum_delta_rl n j f : (j < n)%nat -> Sum n (fun i => f i * delta j i) = f j.
Proof. intros Hj. rewrite <- (Sum_delta n j f Hj). apply Sum_ext. intros. rewrite delta_sym. ring. Qed.

Lemma dot_ext n x y x' y' :
  (forall i, (i < n)%nat -> x i = x' i) -> (forall i, (i < n)%nat -> y i = y' i) -> dot n x y = dot n x' y'.
Proof. intros H K. apply Sum_ext. intros. rewrite H, K; auto. Qed.

Lemma dot_sym n x y : dot n x y = dot n y x.
Proof. apply Sum_ext. intros. ring. Qed.

Lemma dot_self_nonneg n x : 0 <= dot n x x.
Proof. apply Sum_nonneg. intros. exact (Rle_0_sqr _). Qed.

Lemma dot_plus_l n x y z : dot n (fun i => x i + y i) z = dot n x z + dot n y z.
Proof. unfold dot. rewrite <- Sum_plus. apply Sum_ext. intros. ring. Qed.

Lemma dot_minus_l n x y z : dot n (fun i => x i - y i) z = dot n x z - dot n y z.
Proof. unfold dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring. Qed.

Lemma dot_scal_l n c x y : dot n (fun i => c * x i) y = c * dot n x y.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.

Lemma dot_scal_r n c x y : dot n x (fun i => c * y i) = c * dot n x y.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.

Lemma dot_plus_r n x y z : dot n x (fun i => y i + z i) = dot n x y + dot n x z.
Proof. unfold dot. rewrite <- Sum_plus. apply Sum_ext. intros. ring. Qed.

Lemma dot_minus_r n x y z : dot n x (fun i => y i - z i) = dot n x y - dot n x z.
Proof. unfold dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring. Qed.

Lemma dot_Sum_l n m (f : mat) y : dot n (fun i => Sum m (fun k => f k i)) y = Sum m (fun k => dot n (f k) y).
Proof.
  unfold dot. rewrite Sum_swap. apply Sum_ext. intros i _. symmetry. apply Sum_scal_r.
Qed.

Lemma dot_delta_l n j x : (j < n)%nat -> dot n x (fun i => delta i j) = x j.
Proof. apply Sum_delta_r. Qed.

Lemma dot2_ext m n A B A' B' :
  (forall i j, (i < m)%nat -> (j < n)%nat -> A i j = A' i j) -> (forall i j, (i < m)%nat -> (j < n)%nat -> B i j = B' i j) ->
  dot2 m n A B = dot2 m n A' B'.
Proof. intros H K. apply Sum_ext. intros. apply dot_ext; auto. Qed.

Lemma dot2_sym m n A B : dot2 m n A B = dot2 m n B A.
Proof. apply Sum_ext. intros. apply dot_sym. Qed.

Lemma dot2_self_nonneg m n A : 0 <= dot2 m n A A.
Proof. apply Sum_nonneg. intros. apply dot_self_nonneg. Qed.

Lemma dot2_plus_l m n A B C : dot2 m n (fun i j => A i j + B i j) C = dot2 m n A C + dot2 m n B C.
Proof. unfold dot2. rewrite <- Sum_plus. apply Sum_ext. intros. apply dot_plus_l. Qed.

Lemma dot2_minus_l m n A B C : dot2 m n (fun i j => A i j - B i j) C = dot2 m n A C - dot2 m n B C.
Proof. unfold dot2. rewrite <- Sum_minus. apply Sum_ext. intros. apply dot_minus_l. Qed.

Lemma dot2_scal_l m n c A B : dot2 m n (fun i j => c * A i j) B = c * dot2 m n A B.
Proof. unfold dot2. rewrite <- Sum_scal. apply Sum_ext. intros. apply dot_scal_l. Qed.

Lemma dot2_scal_r m n c A B : dot2 m n A (fun i j => c * B i j) = c * dot2 m n A B.
Proof. unfold dot2. rewrite <- Sum_scal. apply Sum_ext. intros. apply dot_scal_r. Qed.

Lemma dot2_transpose m n A B : dot2 m n A B = dot2 n m (fun j i => A i j) (fun j i => B i j).
Proof. unfold dot2, dot. now rewrite Sum_swap. Qed.

(* Cauchy and Schwarz, from sum_ij (x_i y_j - x_j y_i)^2 >= 0. *)
Lemma Sum_cauchy n x y : dot n x y * dot n x y <= dot n x x * dot n y y.
Proof.
  assert (H : 0 <= Sum n (fun i => Sum n (fun j => (x i * y j - x j * y i) * (x i * y j - x j * y i))))
    by (apply Sum_nonneg; intros; apply Sum_nonneg; intros; exact (Rle_0_sqr _)).
  assert (E : Sum n (fun i => Sum n (fun j => (x i * y j - x j * y i) * (x i * y j - x j * y i))) =
              2 * (dot n x x * dot n y y) - 2 * (dot n x y * dot n x y)).
  { rewrite (Sum_ext n _ (fun i => x i * x i * dot n y y + y i * y i * dot n x x - 2 * (x i * y i * dot n x y))).
    - rewrite Sum_minus, Sum_plus, !Sum_scal_r, Sum_scal, Sum_scal_r. unfold dot. ring.
    - intros i _. unfold dot. rewrite <- !Sum_scal, <- Sum_plus, <- Sum_minus. apply Sum_ext. intros. ring. }
  lra.
Qed.

(* The same for any three numbers that are the inner products of two vectors: no combination has a negative square. *)
Lemma cauchy_of_squares a b c : (forall l m, 0 <= l * l * a - 2 * (l * m * b) + m * m * c) -> b * b <= a * c.
Proof.
  intros H.
  assert (Hc : 0 <= c) by (specialize (H 0 1); lra).
  destruct (Req_dec c 0) as [->|Hne].
  - assert (Ha : 0 <= a) by (specialize (H 1 0); lra).
    specialize (H b (a + 1)). assert (b * b * (a + 2) <= 0) by lra. nra.
  - specialize (H c b). assert (0 < c) by lra. nra.
Qed.

Lemma Sum_cauchy2 m n A B : dot2 m n A B * dot2 m n A B <= dot2 m n A A * dot2 m n B B.
Proof.
  apply cauchy_of_squares. intros l k.
  assert (H := dot2_self_nonneg m n (fun i j => l * A i j - k * B i j)).
  rewrite dot2_minus_l, !dot2_scal_l in H.
  rewrite (dot2_sym m n A (fun i j => l * A i j - k * B i j)), (dot2_sym m n B (fun i j => l * A i j - k * B i j)) in H.
  rewrite !dot2_minus_l, !dot2_scal_l, (dot2_sym m n B A) in H. lra.
Qed.

Lemma dot_zero_l n x : dot n (fun _ => 0) x = 0.
Proof. unfold dot. rewrite (Sum_ext n _ (fun _ => 0)), Sum_zero; intros; ring. Qed.

Lemma dot_div_l n c x y : dot n (fun i => x i / c) y = dot n x y / c.
Proof. unfold dot. rewrite <- Sum_div. apply Sum_ext. intros. unfold Rdiv. ring. Qed.

Lemma dot_div_r n c x y : dot n x (fun i => y i / c) = dot n x y / c.
Proof. unfold dot. rewrite <- Sum_div. apply Sum_ext. intros. unfold Rdiv. ring. Qed.

Lemma dot2_zero_r m n A : dot2 m n A (fun _ _ => 0) = 0.
Proof. unfold dot2. rewrite (Sum_ext m _ (fun _ => 0)), Sum_zero; intros; auto. rewrite dot_sym. apply dot_zero_l. Qed.
