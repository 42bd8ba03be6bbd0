(* Kernels and their centring: (K.1), (K.2), (K.5), (K.7), and HSIC in its two forms and in feature space: (K.6), (K.8), (K.11). *)
Require Import Reals Lra Lia Arith Psatz.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient.
Open Scope R_scope.

Definition product n (A B : mat) : mat := fun i j => Sum n (fun k => A i k * B k j).
Definition trace n (A : mat) := Sum n (fun i => A i i).
Definition symmetric n (A : mat) := forall i j, (i < n)%nat -> (j < n)%nat -> A i j = A j i.
Definition row n (K : mat) : vec := fun i => Sum n (K i).
Definition col n (K : mat) : vec := fun j => Sum n (fun k => K k j).
Definition total n (K : mat) := Sum n (row n K).

Definition H n : mat := fun i j => delta i j - / INR n.
Definition centre n (K : mat) : mat := fun i j => K i j - row n K i / INR n - col n K j / INR n + total n K / (INR n * INR n).
Definition gram p (X : mat) : mat := fun i j => dot p (X i) (X j).
Definition centre_rows n (X : mat) : mat := fun i k => X i k - col n X k / INR n.

Lemma total_col n K : Sum n (col n K) = total n K.
Proof. unfold total, row, col. symmetry. apply (Sum_swap n n K). Qed.

Lemma row_ext n K L i : (i < n)%nat -> (forall i j, (i < n)%nat -> (j < n)%nat -> K i j = L i j) -> row n K i = row n L i.
Proof. intros Hi E. apply Sum_ext. auto. Qed.

Lemma col_ext n K L j : (j < n)%nat -> (forall i j, (i < n)%nat -> (j < n)%nat -> K i j = L i j) -> col n K j = col n L j.
Proof. intros Hj E. apply Sum_ext. auto. Qed.

Lemma total_ext n K L : (forall i j, (i < n)%nat -> (j < n)%nat -> K i j = L i j) -> total n K = total n L.
Proof. intros E. apply Sum_ext. intros. now apply row_ext. Qed.

Lemma centre_ext n K L i j : (i < n)%nat -> (j < n)%nat ->
  (forall i j, (i < n)%nat -> (j < n)%nat -> K i j = L i j) -> centre n K i j = centre n L i j.
Proof.
  intros Hi Hj E. unfold centre. rewrite (row_ext n K L), (col_ext n K L), (total_ext n K L), E by auto. reflexivity.
Qed.

(* The definition, two products with H, is the rank-one form. *)
Theorem centring_rank_one n K i j : (i < n)%nat -> (j < n)%nat -> product n (product n (H n) K) (H n) i j = centre n K i j.
Proof.
  intros Hi Hj. assert (L : forall l, product n (H n) K i l = K i l - col n K l / INR n).
  { intros l. unfold product, H. rewrite (Sum_ext n _ (fun k => delta i k * K k l - K k l * / INR n)) by (intros; ring).
    rewrite Sum_minus, Sum_scal_r, (Sum_delta_l n i (fun k => K k l)) by auto. reflexivity. }
  unfold product at 1. rewrite (Sum_ext n _ (fun l => (K i l - col n K l / INR n) * delta l j -
    (K i l - col n K l / INR n) * / INR n)) by (intros; rewrite L; unfold H; ring).
  rewrite Sum_minus, (Sum_delta_r n j (fun l => K i l - col n K l / INR n)), Sum_scal_r, Sum_minus, Sum_div, total_col by auto.
  unfold centre, row. assert (INR n <> 0) by (apply not_0_INR; lia). field. auto.
Qed.

Theorem centring_row_sums n K i : (i < n)%nat -> row n (centre n K) i = 0.
Proof.
  intros Hi. assert (INR n <> 0) by (apply not_0_INR; lia). unfold row at 1, centre.
  rewrite Sum_plus, !Sum_minus, !Sum_const, Sum_div, total_col. fold (row n K i). field. auto.
Qed.

Theorem centring_column_sums n K j : (j < n)%nat -> col n (centre n K) j = 0.
Proof.
  intros Hj. assert (INR n <> 0) by (apply not_0_INR; lia). unfold col at 1, centre.
  rewrite Sum_plus, !Sum_minus, !Sum_const, Sum_div. fold (total n K) (col n K j). field. auto.
Qed.

Theorem centring_idempotent n K i j : (i < n)%nat -> (j < n)%nat -> centre n (centre n K) i j = centre n K i j.
Proof.
  intros Hi Hj. assert (T : total n (centre n K) = 0).
  { unfold total. rewrite (Sum_ext n _ (fun _ => 0)), Sum_zero; auto. intros. now apply centring_row_sums. }
  unfold centre at 1. rewrite centring_row_sums, centring_column_sums, T by auto. unfold Rdiv. ring.
Qed.

(* What depends on the row alone, or on the column alone, is annihilated: a constant, an offset of the features. *)
Theorem centring_annihilates n K a b i j : (i < n)%nat -> (j < n)%nat ->
  centre n (fun i j => K i j + (a i + b j)) i j = centre n K i j.
Proof.
  intros Hi Hj. assert (INR n <> 0) by (apply not_0_INR; lia). unfold centre, total, row, col.
  rewrite (Sum_ext n (fun i0 => Sum n (fun j0 => K i0 j0 + (a i0 + b j0))) (fun i0 => Sum n (K i0) + (INR n * a i0 + Sum n b)))
    by (intros; now rewrite !Sum_plus, Sum_const).
  rewrite !Sum_plus, !Sum_const, Sum_scal. field. auto.
Qed.

Lemma centre_plus_scal n c d K L i j : centre n (fun i j => c * K i j + d * L i j) i j = c * centre n K i j + d * centre n L i j.
Proof.
  unfold centre, total, row, col. rewrite (Sum_ext n (fun i0 => Sum n (fun j0 => c * K i0 j0 + d * L i0 j0))
    (fun i0 => c * Sum n (K i0) + d * Sum n (L i0))) by (intros; now rewrite Sum_plus, !Sum_scal).
  rewrite !Sum_plus, !Sum_scal. unfold Rdiv. ring.
Qed.

Lemma centre_scal n c K i j : centre n (fun i j => c * K i j) i j = c * centre n K i j.
Proof.
  unfold centre, total, row, col. rewrite (Sum_ext n (fun i0 => Sum n (fun j0 => c * K i0 j0)) (fun i0 => c * Sum n (K i0)))
    by (intros; now rewrite Sum_scal). rewrite !Sum_scal. unfold Rdiv. ring.
Qed.

Lemma dot2_rows n (a : vec) (L : mat) : dot2 n n (fun i _ => a i) L = dot n a (row n L).
Proof. apply Sum_ext. intros. unfold dot, row. now rewrite <- Sum_scal. Qed.

Lemma dot2_cols n (b : vec) (L : mat) : dot2 n n (fun _ j => b j) L = dot n b (col n L).
Proof. rewrite dot2_transpose. apply Sum_ext. intros. unfold dot, col. now rewrite <- Sum_scal. Qed.

Lemma dot2_const n c (L : mat) : dot2 n n (fun _ _ => c) L = c * total n L.
Proof. rewrite (dot2_rows n (fun _ => c) L). unfold dot, total. now rewrite Sum_scal. Qed.

Lemma centre_dot n K L : dot2 n n (centre n K) L =
  dot2 n n K L - dot n (row n K) (row n L) / INR n - dot n (col n K) (col n L) / INR n + total n K * total n L / (INR n * INR n).
Proof.
  unfold centre. rewrite (dot2_plus_l n n (fun i j => K i j - row n K i / INR n - col n K j / INR n)), dot2_const.
  rewrite (dot2_minus_l n n (fun i j => K i j - row n K i / INR n)), (dot2_minus_l n n K).
  rewrite (dot2_rows n (fun i => row n K i / INR n)), (dot2_cols n (fun j => col n K j / INR n)), !dot_div_l.
  unfold Rdiv. ring.
Qed.

(* The map is its own adjoint, so dK = H dC H; one of two centrings is enough in an inner product. *)
Theorem centring_adjoint n K L : dot2 n n (centre n K) L = dot2 n n K (centre n L).
Proof.
  rewrite (dot2_sym n n K (centre n L)), !centre_dot, (dot2_sym n n L K), (dot_sym n (row n L)), (dot_sym n (col n L)).
  unfold Rdiv. ring.
Qed.

Theorem centring_one_side n K L : dot2 n n (centre n K) (centre n L) = dot2 n n (centre n K) L.
Proof.
  rewrite centring_adjoint, (centring_adjoint n K L). apply dot2_ext; auto. intros. now apply centring_idempotent.
Qed.

Lemma d_sum2 m n (f : R -> mat) (w : mat) t :
  (forall i j, (i < m)%nat -> (j < n)%nat -> is_derive (fun u => f u i j) t (w i j)) ->
  is_derive (fun u => Sum m (fun i => Sum n (f u i))) t (Sum m (fun i => Sum n (w i))).
Proof.
  intros D. apply (d_sum m (fun u i => Sum n (f u i)) (fun i => Sum n (w i))). intros i Hi.
  apply (d_sum n (fun u => f u i) (w i)). auto.
Qed.

(* A linear function has its matrix for gradient. *)
Lemma linear_gradient m n G x : grad2 m n (fun A => dot2 m n G A) x G.
Proof.
  intros z v t Hz Hv. eapply d_eq.
  - exact (d_dot2 m n (fun _ => G) z (fun _ _ => 0) v t (fun i j _ _ => d_const (G i j) t) Hv).
  - unfold dot2 at 1. rewrite (Sum_ext m _ (fun _ => 0)), Sum_zero by (intros; apply dot_zero_l). ring.
Qed.

Theorem centring_gradient n dC K : grad2 n n (fun A => dot2 n n dC (centre n A)) K (centre n dC).
Proof.
  intros z v t Hz Hv. apply (d_ext (fun u => dot2 n n (centre n dC) (z u))); [intros; apply centring_adjoint|].
  exact (linear_gradient n n (centre n dC) K z v t Hz Hv).
Qed.

(* tr(K HLH) = <HKH, HLH> for a symmetric L. *)
Theorem hsic_trace n K L : symmetric n L -> trace n (product n K (centre n L)) = dot2 n n (centre n K) (centre n L).
Proof.
  intros S. assert (C : forall i j, (i < n)%nat -> (j < n)%nat -> centre n L j i = centre n L i j).
  { intros i j Hi Hj. unfold centre.
    replace (row n L j) with (col n L j) by (apply Sum_ext; intros; apply S; auto).
    replace (row n L i) with (col n L i) by (apply Sum_ext; intros; apply S; auto). rewrite (S j i) by auto. ring. }
  transitivity (dot2 n n K (centre n L)).
  - apply Sum_ext. intros i Hi. apply Sum_ext. intros k Hk. now rewrite C.
  - rewrite centring_adjoint. apply dot2_ext; auto. intros. symmetry. now apply centring_idempotent.
Qed.

Theorem hsic_symmetric n K L : dot2 n n (centre n K) (centre n L) = dot2 n n (centre n L) (centre n K).
Proof. apply dot2_sym. Qed.

(* H X X^T H = (HX)(HX)^T *)
Theorem centring_features n p X i j : (i < n)%nat -> (j < n)%nat -> centre n (gram p X) i j = gram p (centre_rows n X) i j.
Proof.
  intros Hi Hj. unfold gram at 2, centre_rows.
  rewrite (dot_minus_l p (X i)), (dot_minus_r p (X i)), (dot_minus_r p (fun k => col n X k / INR n)), !dot_div_l, !dot_div_r.
  assert (E : forall a, dot p a (col n X) = Sum n (fun i => dot p a (X i))).
  { intros a. rewrite dot_sym. unfold col. rewrite (dot_Sum_l p n X a). apply Sum_ext. intros. apply dot_sym. }
  assert (ET : dot p (col n X) (col n X) = total n (gram p X)).
  { rewrite E. unfold total, row, gram. apply Sum_ext. intros k Hk. now rewrite dot_sym, E. }
  rewrite ET, E, (dot_sym p (col n X) (X j)), E. unfold centre, row, col, gram, total.
  rewrite (Sum_ext n (fun k => dot p (X k) (X j)) (fun k => dot p (X j) (X k))) by (intros; apply dot_sym).
  unfold row, Rdiv. rewrite Rinv_mult. ring.
Qed.

(* <XX^T, YY^T> = ||X^T Y||^2: Gram matrices and feature space agree. *)
Theorem gram_feature_space n p q X Y :
  dot2 n n (gram p X) (gram q Y) = Sum p (fun a => Sum q (fun b => Sum n (fun i => X i a * Y i b) * Sum n (fun i => X i a * Y i b))).
Proof.
  transitivity (Sum n (fun i => Sum n (fun j => Sum p (fun a => Sum q (fun b => (X i a * Y i b) * (X j a * Y j b)))))).
  - apply Sum_ext. intros i _. apply Sum_ext. intros j _. unfold gram, dot. rewrite <- Sum_scal_r. apply Sum_ext. intros a _.
    rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  - rewrite (Sum_ext n _ (fun i => Sum p (fun a => Sum q (fun b => (X i a * Y i b) * Sum n (fun j => X j a * Y j b))))).
    + rewrite (Sum_swap n p (fun i a => Sum q (fun b => X i a * Y i b * Sum n (fun j => X j a * Y j b)))).
      apply Sum_ext. intros a _. rewrite (Sum_swap n q (fun i b => X i a * Y i b * Sum n (fun j => X j a * Y j b))).
      apply Sum_ext. intros b _. apply Sum_scal_r.
    + intros i _. rewrite (Sum_swap n p (fun j a => Sum q (fun b => X i a * Y i b * (X j a * Y j b)))).
      apply Sum_ext. intros a _. rewrite (Sum_swap n q (fun j b => X i a * Y i b * (X j a * Y j b))).
      apply Sum_ext. intros b _. apply Sum_scal.
Qed.

(* Undivided HSIC_0 of linear kernels, and that it is not negative. *)
Theorem hsic_feature_space n p q X Y : dot2 n n (centre n (gram p X)) (centre n (gram q Y)) =
  Sum p (fun a => Sum q (fun b => let c := Sum n (fun i => centre_rows n X i a * centre_rows n Y i b) in c * c)).
Proof.
  cbv zeta. rewrite <- gram_feature_space. apply dot2_ext; intros; now apply centring_features.
Qed.

Theorem hsic_nonnegative n p q X Y : 0 <= dot2 n n (centre n (gram p X)) (centre n (gram q Y)).
Proof. rewrite hsic_feature_space. apply Sum_nonneg. intros. apply Sum_nonneg. intros. exact (Rle_0_sqr _). Qed.

(* X_c^T Y_c = c - s_x s_y^T / n, of the moments (K.10). *)
Theorem moments_centred n X Y a b : (0 < n)%nat ->
  Sum n (fun i => centre_rows n X i a * centre_rows n Y i b) = Sum n (fun i => X i a * Y i b) - col n X a * col n Y b / INR n.
Proof.
  intros Hn. assert (INR n <> 0) by (apply not_0_INR; lia). unfold centre_rows.
  rewrite (Sum_ext n _ (fun i => X i a * Y i b - X i a * (col n Y b / INR n) - Y i b * (col n X a / INR n) +
    col n X a / INR n * (col n Y b / INR n))) by (intros; ring).
  rewrite Sum_plus, !Sum_minus, !Sum_scal_r, Sum_const. fold (col n X a) (col n Y b). field. auto.
Qed.

(* (K.1) dX = (dK + dK^T) X *)
Theorem gram_gradient n p dK X : grad2 n p (fun A => dot2 n n dK (gram p A)) X
  (fun i k => Sum n (fun j => dK i j * X j k) + Sum n (fun j => dK j i * X j k)).
Proof.
  intros z v t Hz Hv. eapply d_eq.
  - apply (d_sum2 n n (fun u i j => dK i j * gram p (z u) i j) (fun i j => dK i j * (dot p (v i) (X j) + dot p (X i) (v j)))).
    intros i j Hi Hj. apply (d_scal (fun u => gram p (z u) i j)). eapply d_eq.
    + exact (d_dot p (fun u => z u i) (fun u => z u j) (v i) (v j) t (fun k Hk => Hv i k Hi Hk) (fun k Hk => Hv j k Hj Hk)).
    + f_equal; apply dot_ext; auto.
  - rewrite (Sum_ext n _ (fun i => Sum n (fun j => dot p (fun k => dK i j * X j k) (v i)) +
      Sum n (fun j => dot p (fun k => dK i j * X i k) (v j)))).
    + rewrite Sum_plus, (Sum_swap n n (fun i j => dot p (fun k => dK i j * X i k) (v j))), <- Sum_plus.
      apply Sum_ext. intros i Hi. rewrite dot_plus_l.
      rewrite (dot_Sum_l p n (fun j k => dK i j * X j k)), (dot_Sum_l p n (fun j k => dK j i * X j k)). reflexivity.
    + intros i Hi. rewrite <- Sum_plus. apply Sum_ext. intros j Hj.
      rewrite !dot_scal_l, (dot_sym p (v i)). ring.
Qed.

(* (K.2) dx_ik = sum_j 2 (dD_ij + dD_ji) (x_ik - x_jk) *)
Definition distances p (X : mat) : mat := fun i j => Sum p (fun k => (X i k - X j k) * (X i k - X j k)).

Theorem distances_gradient n p dD X : grad2 n p (fun A => dot2 n n dD (distances p A)) X
  (fun i k => Sum n (fun j => 2 * (dD i j + dD j i) * (X i k - X j k))).
Proof.
  intros z v t Hz Hv. eapply d_eq.
  - apply (d_sum2 n n (fun u i j => dD i j * distances p (z u) i j)
      (fun i j => dD i j * Sum p (fun k => 2 * (X i k - X j k) * (v i k - v j k)))).
    intros i j Hi Hj. apply (d_scal (fun u => distances p (z u) i j)).
    apply (d_sum p (fun u k => (z u i k - z u j k) * (z u i k - z u j k)) (fun k => 2 * (X i k - X j k) * (v i k - v j k))).
    intros k Hk. assert (D := d_minus (fun u => z u i k) (fun u => z u j k) t _ _ (Hv i k Hi Hk) (Hv j k Hj Hk)). eapply d_eq.
    + exact (d_mult (fun u => z u i k - z u j k) (fun u => z u i k - z u j k) t _ _ D D).
    + cbv beta. rewrite !Hz by auto. ring.
  - rewrite (Sum_ext n _ (fun i => Sum n (fun j => dot p (fun k => 2 * dD i j * (X i k - X j k)) (v i)) +
      Sum n (fun j => dot p (fun k => 2 * dD i j * (X j k - X i k)) (v j)))).
    + rewrite Sum_plus, (Sum_swap n n (fun i j => dot p (fun k => 2 * dD i j * (X j k - X i k)) (v j))), <- Sum_plus.
      apply Sum_ext. intros i Hi. rewrite <- Sum_plus, (dot_Sum_l p n (fun j k => 2 * (dD i j + dD j i) * (X i k - X j k))).
      apply Sum_ext. intros j Hj. unfold dot. rewrite <- Sum_plus. apply Sum_ext. intros. ring.
    + intros i Hi. rewrite <- Sum_plus. apply Sum_ext. intros j Hj. unfold dot. rewrite <- Sum_scal, <- Sum_plus.
      apply Sum_ext. intros. ring.
Qed.

(* (K.7) U-centring. *)
Definition tilde (K : mat) : mat := fun i j => if i =? j then 0 else K i j.
Definition ucentre n (K : mat) : mat := fun i j => if i =? j then 0 else
  K i j - (row n (tilde K) i + col n (tilde K) j) / (INR n - 2) + total n (tilde K) / ((INR n - 1) * (INR n - 2)).

Lemma INR_ge_3 n : (3 <= n)%nat -> 3 <= INR n.
Proof. intros Hn. apply le_INR in Hn. simpl in Hn. lra. Qed.

Lemma tilde_symmetric n K : symmetric n K -> forall i, (i < n)%nat -> col n (tilde K) i = row n (tilde K) i.
Proof.
  intros S i Hi. apply Sum_ext. intros k Hk. unfold tilde. rewrite (Nat.eqb_sym k i). destruct (i =? k); auto.
Qed.

Theorem ucentring_symmetric n K : symmetric n K -> symmetric n (ucentre n K).
Proof.
  intros S i j Hi Hj. unfold ucentre. rewrite (Nat.eqb_sym j i). destruct (i =? j); auto.
  rewrite !(tilde_symmetric n K S), (S i j) by auto. unfold Rdiv. ring.
Qed.

Theorem ucentring_row_sums n K i : (3 <= n)%nat -> symmetric n K -> (i < n)%nat -> row n (ucentre n K) i = 0.
Proof.
  intros Hn S Hi. assert (HI := INR_ge_3 n Hn). set (d := (INR n - 1) * (INR n - 2)).
  unfold row at 1. rewrite (Sum_ext n _ (fun j => tilde K i j - (row n (tilde K) i / (INR n - 2) + col n (tilde K) j / (INR n - 2))
    + total n (tilde K) / d + delta i j * ((row n (tilde K) i + col n (tilde K) j) / (INR n - 2) - total n (tilde K) / d))).
  - rewrite !Sum_plus, Sum_minus, Sum_plus, !Sum_const, Sum_div, total_col.
    rewrite (Sum_delta_l n i (fun j => (row n (tilde K) i + col n (tilde K) j) / (INR n - 2) - total n (tilde K) / d)) by auto.
    rewrite (tilde_symmetric n K S i Hi). fold (row n (tilde K) i). unfold d. field. lra.
  - intros j Hj. change (tilde K i j) with (if i =? j then 0 else K i j). unfold ucentre, delta. fold d.
    destruct (i =? j); unfold Rdiv; ring.
Qed.

Lemma ucentre_dot n K L : dot2 n n (ucentre n K) L = dot2 n n (tilde K) (tilde L)
  - (dot n (row n (tilde K)) (row n (tilde L)) + dot n (col n (tilde K)) (col n (tilde L))) / (INR n - 2)
  + total n (tilde K) * total n (tilde L) / ((INR n - 1) * (INR n - 2)).
Proof.
  set (d := (INR n - 1) * (INR n - 2)).
  transitivity (dot2 n n (fun i j => tilde K i j - row n (tilde K) i / (INR n - 2) - col n (tilde K) j / (INR n - 2)
    + total n (tilde K) / d) (tilde L)).
  - apply Sum_ext. intros i _. apply Sum_ext. intros j _. unfold ucentre. fold d.
    change (tilde K i j) with (if i =? j then 0 else K i j). change (tilde L i j) with (if i =? j then 0 else L i j).
    destruct (i =? j); unfold Rdiv; ring.
  - rewrite (dot2_plus_l n n (fun i j => tilde K i j - row n (tilde K) i / (INR n - 2) - col n (tilde K) j / (INR n - 2))).
    rewrite dot2_const, (dot2_minus_l n n (fun i j => tilde K i j - row n (tilde K) i / (INR n - 2))).
    rewrite (dot2_minus_l n n (tilde K)), (dot2_rows n (fun i => row n (tilde K) i / (INR n - 2))).
    rewrite (dot2_cols n (fun j => col n (tilde K) j / (INR n - 2))), !dot_div_l. unfold Rdiv. ring.
Qed.

Theorem ucentring_adjoint n K L : dot2 n n (ucentre n K) L = dot2 n n K (ucentre n L).
Proof.
  rewrite (dot2_sym n n K (ucentre n L)), !ucentre_dot, (dot2_sym n n (tilde L)), (dot_sym n (row n (tilde L))),
    (dot_sym n (col n (tilde L))). unfold Rdiv. ring.
Qed.

Theorem ucentring_idempotent n K i j : (3 <= n)%nat -> symmetric n K -> (i < n)%nat -> (j < n)%nat ->
  ucentre n (ucentre n K) i j = ucentre n K i j.
Proof.
  intros Hn S Hi Hj. assert (E : forall i j, tilde (ucentre n K) i j = ucentre n K i j)
    by (intros a b; unfold tilde, ucentre; destruct (a =? b); auto).
  assert (RS : forall a, (a < n)%nat -> row n (tilde (ucentre n K)) a = 0).
  { intros a Ha. rewrite <- (ucentring_row_sums n K a) by auto. apply Sum_ext. intros. apply E. }
  unfold ucentre at 1. rewrite RS by auto.
  rewrite (tilde_symmetric n (ucentre n K) (ucentring_symmetric n K S) j Hj), RS by auto.
  replace (total n (tilde (ucentre n K))) with 0 by (symmetry; unfold total; rewrite (Sum_ext n _ (fun _ => 0)), Sum_zero; auto).
  destruct (i =? j) eqn:Eq; [unfold ucentre; now rewrite Eq|]. unfold Rdiv. ring.
Qed.

(* What is a_i + a_j off the diagonal goes to 0: a translation of the features, a constant (a = 1/2). *)
Theorem ucentring_annihilates n a i j : (3 <= n)%nat -> (i < n)%nat -> (j < n)%nat -> ucentre n (fun i j => a i + a j) i j = 0.
Proof.
  intros Hn Hi Hj. assert (HI := INR_ge_3 n Hn). set (s := Sum n a).
  assert (RT : forall k, (k < n)%nat -> row n (tilde (fun i j => a i + a j)) k = (INR n - 2) * a k + s).
  { intros k Hk. unfold row. rewrite (Sum_ext n _ (fun l => a k + a l - delta k l * (a k + a l))).
    - rewrite Sum_minus, Sum_plus, Sum_const, (Sum_delta_l n k (fun l => a k + a l)) by auto. fold s. ring.
    - intros l _. unfold tilde, delta. destruct (k =? l); ring. }
  unfold ucentre. destruct (i =? j); auto.
  rewrite (tilde_symmetric n (fun i j => a i + a j)) by (auto; intros k l _ _; ring).
  rewrite !RT by auto. replace (total n (tilde (fun i j => a i + a j))) with (2 * (INR n - 1) * s); [field; lra|].
  unfold total. rewrite (Sum_ext n _ (fun k => (INR n - 2) * a k + s)), Sum_plus, Sum_scal, Sum_const by auto. fold s. ring.
Qed.

(* (K.8) The two forms of the undivided HSIC_1. *)
Theorem hsic1_forms n K L : (3 <= n)%nat -> symmetric n K -> symmetric n L ->
  trace n (product n (tilde K) (tilde L)) + total n (tilde K) * total n (tilde L) / ((INR n - 1) * (INR n - 2))
    - 2 / (INR n - 2) * total n (product n (tilde K) (tilde L))
  = dot2 n n (ucentre n K) (ucentre n L).
Proof.
  intros Hn SK SL. rewrite ucentring_adjoint.
  rewrite (dot2_ext n n K (ucentre n (ucentre n L)) K (ucentre n L)) by (auto; intros; now apply ucentring_idempotent).
  rewrite <- ucentring_adjoint, ucentre_dot.
  replace (trace n (product n (tilde K) (tilde L))) with (dot2 n n (tilde K) (tilde L)).
  2: { apply Sum_ext. intros i Hi. apply Sum_ext. intros k Hk. unfold tilde. rewrite (Nat.eqb_sym k i).
       destruct (i =? k); [ring|]. now rewrite (SL k i). }
  replace (total n (product n (tilde K) (tilde L))) with (dot n (row n (tilde K)) (row n (tilde L))).
  2: { unfold total, product. rewrite (Sum_ext n (row n (fun i j => Sum n (fun k => tilde K i k * tilde L k j)))
         (fun i => Sum n (fun k => tilde K i k * row n (tilde L) k))).
       - rewrite (Sum_swap n n (fun i k => tilde K i k * row n (tilde L) k)). apply Sum_ext. intros k Hk.
         rewrite Sum_scal_r. f_equal. symmetry. now apply tilde_symmetric.
       - intros i Hi. unfold row at 1. rewrite (Sum_swap n n (fun j k => tilde K i k * tilde L k j)). apply Sum_ext. intros k Hk.
         now rewrite Sum_scal. }
  rewrite (dot_ext n (col n (tilde K)) (col n (tilde L)) (row n (tilde K)) (row n (tilde L)))
    by (intros; now apply tilde_symmetric). unfold Rdiv. ring.
Qed.
