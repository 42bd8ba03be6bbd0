(* Competition: responses (C.1), mixing (C.11), distillation (C.5, C.9), diversity (C.6). *)
Require Import Reals Lra Lia Arith Psatz.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient Softmax Scalar Norm Balance.
Open Scope R_scope.

(* (C.1) s = mean of softplus: do_e = sigma(o_e) / d *)
Theorem response_gradient d o : grad d (fun y => Sum d (fun e => softplus (y e)) / INR d) o (fun e => / INR d * sigmoid (o e)).
Proof.
  intros z v t Hz Hv. apply (d_ext (fun u => / INR d * Sum d (fun e => softplus (z u e)))); [intros; unfold Rdiv; ring|].
  rewrite dot_scal_l. apply (d_scal (fun u => Sum d (fun e => softplus (z u e)))).
  apply (d_sum d (fun u e => softplus (z u e)) (fun e => sigmoid (o e) * v e)). intros e He. eapply d_eq.
  - apply (d_comp softplus (fun u => z u e)); [apply softplus_derivative|exact (Hv e He)].
  - rewrite Hz by auto. ring.
Qed.

(* (C.5) With delta = p - q: L = a sum_i delta_i^2 + b sum_i m_i delta_i^2, m the indicator of the winners (one token;
   a = 1/(TN), b = theta/(TK)); dr_i = p_i (dp_i - <p, dp>) with dp_i = 2 a delta_i + m_i 2 b delta_i. *)
Definition squares n (a b : R) (m p q : vec) :=
  a * Sum n (fun i => (p i - q i) * (p i - q i)) + b * Sum n (fun i => m i * ((p i - q i) * (p i - q i))).
Definition squares_dp (a b : R) (m p q : vec) : vec := fun i => 2 * a * (p i - q i) + m i * (2 * b * (p i - q i)).

Lemma d_squares n a b m (p q : R -> vec) v w t :
  (forall i, (i < n)%nat -> is_derive (fun u => p u i) t (v i)) ->
  (forall i, (i < n)%nat -> is_derive (fun u => q u i) t (w i)) ->
  is_derive (fun u => squares n a b m (p u) (q u)) t
    (dot n (squares_dp a b m (p t) (q t)) v - dot n (squares_dp a b m (p t) (q t)) w).
Proof.
  intros Hp Hq. unfold squares.
  assert (Hs : forall i, (i < n)%nat ->
    is_derive (fun u => (p u i - q u i) * (p u i - q u i)) t (2 * (p t i - q t i) * (v i - w i))).
  { intros i Hi. assert (D := d_minus (fun u => p u i) (fun u => q u i) t _ _ (Hp i Hi) (Hq i Hi)). eapply d_eq.
    - exact (d_mult (fun u => p u i - q u i) (fun u => p u i - q u i) t _ _ D D).
    - cbv beta. ring. }
  eapply d_eq.
  - apply (d_plus (fun u => a * Sum n (fun i => (p u i - q u i) * (p u i - q u i)))
      (fun u => b * Sum n (fun i => m i * ((p u i - q u i) * (p u i - q u i))))).
    + apply (d_scal (fun u => Sum n (fun i => (p u i - q u i) * (p u i - q u i)))).
      exact (d_sum n (fun u i => (p u i - q u i) * (p u i - q u i)) _ t Hs).
    + apply (d_scal (fun u => Sum n (fun i => m i * ((p u i - q u i) * (p u i - q u i))))).
      apply (d_sum n (fun u i => m i * ((p u i - q u i) * (p u i - q u i)))
        (fun i => m i * (2 * (p t i - q t i) * (v i - w i)))). intros i Hi.
      exact (d_scal (fun u => (p u i - q u i) * (p u i - q u i)) t (m i) _ (Hs i Hi)).
  - unfold dot. rewrite <- !Sum_scal, <- Sum_plus, <- Sum_minus. apply Sum_ext. intros. unfold squares_dp. ring.
Qed.

(* The target q held constant. *)
Theorem distill_gradient n a b m q r : (0 < n)%nat ->
  let p := softmax n r in let dp := squares_dp a b m p q in
  grad n (fun y => squares n a b m (softmax n y) q) r (fun i => p i * (dp i - dot n p dp)).
Proof.
  intros Hn p dp z v t Hz Hv. eapply d_eq.
  - exact (d_squares n a b m (fun u => softmax n (z u)) (fun _ => q) _ (fun _ => 0) t
      (fun i Hi => d_softmax n z v t i Hi Hv) (fun i _ => d_const (q i) t)).
  - rewrite (dot_sym n _ (fun _ => 0)), dot_zero_l.
    rewrite (dot_ext n (squares_dp a b m (softmax n (z t)) q) _ dp (fun i => p i * (v i - dot n p v))).
    + rewrite softmax_adjoint. ring.
    + intros i Hi. unfold dp, squares_dp, p. now rewrite (softmax_ext n (z t) r).
    + intros i Hi. unfold p. rewrite (softmax_ext n (z t) r) by auto. do 2 f_equal.
      apply dot_ext; auto. intros. now apply softmax_ext.
Qed.

(* The target attached: dq = -dp, ds_i = q_i (dq_i - <q, dq>). *)
Theorem distill_gradient_target n a b m p s : (0 < n)%nat ->
  let q := softmax n s in let dq := fun i => - squares_dp a b m p q i in
  grad n (fun y => squares n a b m p (softmax n y)) s (fun i => q i * (dq i - dot n q dq)).
Proof.
  intros Hn q dq z v t Hz Hv. eapply d_eq.
  - exact (d_squares n a b m (fun _ => p) (fun u => softmax n (z u)) (fun _ => 0) _ t
      (fun i _ => d_const (p i) t) (fun i Hi => d_softmax n z v t i Hi Hv)).
  - rewrite (dot_sym n _ (fun _ => 0)), dot_zero_l.
    rewrite (dot_ext n (squares_dp a b m p (softmax n (z t))) _ (fun i => -1 * dq i) (fun i => q i * (v i - dot n q v))).
    + rewrite dot_scal_l, softmax_adjoint. ring.
    + intros i Hi. unfold dq, squares_dp, q. rewrite (softmax_ext n (z t) s) by auto. ring.
    + intros i Hi. unfold q. rewrite (softmax_ext n (z t) s) by auto. do 2 f_equal.
      apply dot_ext; auto. intros. now apply softmax_ext.
Qed.

(* (C.9) Kullback-Leibler to a constant target of sum 1: L = sum_i q_i (ln q_i - ln p_i), dr = p - q. *)
Theorem kl_gradient n q r : (0 < n)%nat -> Sum n q = 1 ->
  grad n (fun y => Sum n (fun i => q i * (ln (q i) - ln (softmax n y i)))) r (fun i => softmax n r i - q i).
Proof.
  intros Hn HS z v t Hz Hv.
  apply (d_ext (fun u => Sum n (fun i => q i * (ln (q i) - (z u i - logsumexp n (z u)))))).
  { intros. apply Sum_ext. intros. now rewrite ln_softmax. }
  assert (D := logsumexp_gradient n r Hn z v t Hz Hv). eapply d_eq.
  - apply (d_sum n (fun u i => q i * (ln (q i) - (z u i - logsumexp n (z u))))
      (fun i => q i * (0 - (v i - dot n (softmax n r) v)))). intros i Hi.
    apply (d_scal (fun u => ln (q i) - (z u i - logsumexp n (z u)))).
    apply (d_minus (fun _ => ln (q i)) (fun u => z u i - logsumexp n (z u))); [apply d_const|].
    exact (d_minus (fun u => z u i) (fun u => logsumexp n (z u)) t _ _ (Hv i Hi) D).
  - rewrite (Sum_ext n _ (fun i => q i * dot n (softmax n r) v - q i * v i)) by (intros; ring).
    rewrite Sum_minus, Sum_scal_r, HS, dot_minus_l. unfold dot. ring.
Qed.

Theorem kl_nonnegative n p q : (forall i, (i < n)%nat -> 0 < p i) -> (forall i, (i < n)%nat -> 0 < q i) ->
  Sum n p = 1 -> Sum n q = 1 -> 0 <= Sum n (fun i => q i * (ln (q i) - ln (p i))).
Proof.
  intros Hp Hq Sp Sq. replace 0 with (Sum n (fun i => q i - p i)) by (rewrite Sum_minus; lra).
  apply Sum_le. intros i Hi. specialize (Hp i Hi). specialize (Hq i Hi).
  assert (L := exp_ineq1_le (ln (p i) - ln (q i))).
  unfold Rminus in L at 2. rewrite exp_plus, exp_Ropp, !exp_ln in L by auto.
  assert (q i * (1 + (ln (p i) - ln (q i))) <= q i * (p i * / q i)) by (apply Rmult_le_compat_l; lra).
  replace (q i * (p i * / q i)) with (p i) in H by (field; lra). lra.
Qed.

(* (C.6) Diversity of k winners of width d, one token: the mean cosine of ordered pairs. *)
Definition pair_cosines k d (o : mat) :=
  Sum k (fun i => Sum k (fun j => if i =? j then 0 else dot d (direction d (o i)) (direction d (o j)))).
Definition diversity k d o := pair_cosines k d o / (INR k * (INR k - 1)).

Lemma pair_cosines_norm k d o : (forall i, (i < k)%nat -> 0 < norm d (o i)) ->
  pair_cosines k d o =
  dot d (fun e => Sum k (fun i => direction d (o i) e)) (fun e => Sum k (fun i => direction d (o i) e)) - INR k.
Proof.
  intros H. rewrite (dot_Sum_l d k (fun i e => direction d (o i) e)).
  rewrite (Sum_ext k (fun i => dot d (fun e => direction d (o i) e) (fun e => Sum k (fun j => direction d (o j) e)))
    (fun i => Sum k (fun j => if i =? j then 0 else dot d (direction d (o i)) (direction d (o j))) + 1)).
  - rewrite Sum_plus, Sum_const. unfold pair_cosines. ring.
  - intros i Hi. rewrite dot_sym, (dot_Sum_l d k (fun j e => direction d (o j) e)).
    rewrite (Sum_ext k _ (fun j => (if i =? j then 0 else dot d (direction d (o i)) (direction d (o j))) + delta i j * 1)).
    + rewrite Sum_plus. f_equal. now apply (Sum_delta_l k i (fun _ => 1)).
    + intros j Hj. unfold delta. destruct (Nat.eqb_spec i j) as [<-|Hne].
      * transitivity 1; [now apply direction_unit, H|ring].
      * rewrite dot_sym. rewrite Rmult_0_l, Rplus_0_r. reflexivity.
Qed.

Theorem diversity_range k d o : (2 <= k)%nat -> (forall i, (i < k)%nat -> 0 < norm d (o i)) ->
  - / (INR k - 1) <= diversity k d o <= 1.
Proof.
  intros Hk H. assert (HI : 2 <= INR k) by (now apply (le_INR 2)).
  assert (HP : 0 < INR k * (INR k - 1)) by nra. unfold diversity. split.
  - apply (Rmult_le_reg_r (INR k * (INR k - 1))); auto.
    replace (- / (INR k - 1) * (INR k * (INR k - 1))) with (- INR k) by (field; lra).
    replace (pair_cosines k d o / (INR k * (INR k - 1)) * (INR k * (INR k - 1))) with (pair_cosines k d o) by (field; lra).
    rewrite pair_cosines_norm by auto. assert (N := dot_self_nonneg d (fun e => Sum k (fun i => direction d (o i) e))). lra.
  - apply (Rmult_le_reg_r (INR k * (INR k - 1))); auto.
    replace (pair_cosines k d o / (INR k * (INR k - 1)) * (INR k * (INR k - 1))) with (pair_cosines k d o) by (field; lra).
    replace (1 * (INR k * (INR k - 1))) with (Sum k (fun i => Sum k (fun j => 1 - delta i j * 1))).
    + apply Sum_le. intros i Hi. apply Sum_le. intros j Hj. unfold delta. destruct (Nat.eqb_spec i j); [lra|].
      assert (C := cosine_bound d (o i) (o j) (H i Hi) (H j Hj)). lra.
    + rewrite (Sum_ext k _ (fun _ => INR k - 1)), Sum_const; [ring|]. intros i Hi.
      rewrite Sum_minus, Sum_const, (Sum_delta_l k i (fun _ => 1)) by auto. ring.
Qed.

(* With u_i the directions and v_i = sum_{j <> i} u_j: d/do_i of the sum of ordered pairs is 2 (v_i - <u_i, v_i> u_i) / |o_i|. *)
Definition others k d (o : mat) (i : nat) : vec := fun e => Sum k (fun j => if i =? j then 0 else direction d (o j) e).

Lemma d_direction d (z : R -> vec) v t e : (e < d)%nat -> 0 < norm d (z t) ->
  (forall i, (i < d)%nat -> is_derive (fun u => z u i) t (v i)) ->
  is_derive (fun u => direction d (z u) e) t
    ((v e - direction d (z t) e * dot d (direction d (z t)) v) / norm d (z t)).
Proof.
  intros He H Hv. unfold direction at 1. eapply d_eq.
  - apply (d_div (fun u => z u e) (fun u => norm d (z u))); [exact (Hv e He)|exact (d_norm d z v t H Hv)|lra].
  - cbv beta. rewrite (dot_sym d (direction d (z t)) v), dot_direction, (dot_sym d v). unfold direction. field. lra.
Qed.

Theorem diversity_gradient k d o : (forall i, (i < k)%nat -> 0 < norm d (o i)) ->
  grad2 k d (diversity k d) o (fun i e => 2 / (INR k * (INR k - 1)) *
    ((others k d o i e - dot d (direction d (o i)) (others k d o i) * direction d (o i) e) / norm d (o i))).
Proof.
  intros H z v t Hz Hv. set (c := INR k * (INR k - 1)).
  assert (En : forall i, (i < k)%nat -> norm d (z t i) = norm d (o i)) by (intros; apply norm_ext; auto).
  assert (Eu : forall i e, (i < k)%nat -> (e < d)%nat -> direction d (z t i) e = direction d (o i) e)
    by (intros; unfold direction; now rewrite En, Hz).
  set (w := fun i e => (v i e - direction d (o i) e * dot d (direction d (o i)) (v i)) / norm d (o i)).
  assert (Dw : forall i e, (i < k)%nat -> (e < d)%nat -> is_derive (fun u => direction d (z u i) e) t (w i e)).
  { intros i e Hi He. eapply d_eq.
    - apply (d_direction d (fun u => z u i) (v i) t e He); [rewrite En; auto|]. intros; auto.
    - unfold w. rewrite En, Eu by auto. do 2 f_equal. f_equal. apply dot_ext; auto. }
  apply (d_ext (fun u => / c * pair_cosines k d (z u))); [intros; unfold diversity, Rdiv; fold c; ring|].
  rewrite dot2_scal_l. unfold Rdiv at 1. rewrite (Rmult_comm 2), Rmult_assoc.
  apply (d_scal (fun u => pair_cosines k d (z u))). eapply d_eq.
  - apply (d_sum k (fun u i => Sum k (fun j => if i =? j then 0 else dot d (direction d (z u i)) (direction d (z u j))))
      (fun i => Sum k (fun j => if i =? j then 0 else dot d (w i) (direction d (o j)) + dot d (direction d (o i)) (w j)))).
    intros i Hi.
    apply (d_sum k (fun u j => if i =? j then 0 else dot d (direction d (z u i)) (direction d (z u j)))
      (fun j => if i =? j then 0 else dot d (w i) (direction d (o j)) + dot d (direction d (o i)) (w j))).
    intros j Hj. destruct (i =? j); [apply d_const|]. eapply d_eq.
    + exact (d_dot d (fun u => direction d (z u i)) (fun u => direction d (z u j)) (w i) (w j) t
        (fun e He => Dw i e Hi He) (fun e He => Dw j e Hj He)).
    + f_equal; apply dot_ext; auto.
  - transitivity (2 * Sum k (fun i => dot d (w i) (others k d o i))).
    + rewrite (Sum_ext k _ (fun i => dot d (w i) (others k d o i) +
        Sum k (fun j => if i =? j then 0 else dot d (direction d (o i)) (w j)))).
      * rewrite Sum_plus, (Sum_swap k k (fun i j => if i =? j then 0 else dot d (direction d (o i)) (w j))).
        rewrite (Sum_ext k (fun j => Sum k (fun i => if i =? j then 0 else dot d (direction d (o i)) (w j)))
          (fun j => dot d (w j) (others k d o j))); [ring|].
        intros j Hj. rewrite dot_sym. unfold others.
        rewrite (dot_Sum_l d k (fun i e => if j =? i then 0 else direction d (o i) e)). apply Sum_ext. intros i Hi.
        rewrite (Nat.eqb_sym j i). destruct (i =? j); [symmetry; apply dot_zero_l|reflexivity].
      * intros i Hi. rewrite (dot_sym d (w i)). unfold others.
        rewrite (dot_Sum_l d k (fun j e => if i =? j then 0 else direction d (o j) e)), <- Sum_plus.
        apply Sum_ext. intros j Hj. destruct (i =? j); [rewrite dot_zero_l; ring|]. f_equal. apply dot_sym.
    + f_equal. apply Sum_ext. intros i Hi. set (u := direction d (o i)). set (q := others k d o i). unfold w. fold u.
      rewrite (dot_div_l d (norm d (o i))), (dot_div_l d (norm d (o i))).
      rewrite (dot_minus_l d (v i) (fun e => u e * dot d u (v i))), (dot_minus_l d q (fun e => dot d u q * u e)).
      rewrite (dot_ext d (fun e => u e * dot d u (v i)) q (fun e => dot d u (v i) * u e) q) by (auto; intros; ring).
      rewrite !dot_scal_l, (dot_sym d (v i) q). unfold Rdiv. ring.
Qed.

(* Identical outputs are stationary: every entry of that gradient is 0 there. *)
Theorem diversity_identical_stationary k d o a : (forall i e, (i < k)%nat -> (e < d)%nat -> o i e = a e) -> 0 < norm d a ->
  forall i e, (i < k)%nat -> (e < d)%nat ->
  (others k d o i e - dot d (direction d (o i)) (others k d o i) * direction d (o i) e) / norm d (o i) = 0.
Proof.
  intros Ho Ha i e Hi He.
  assert (Eu : forall j f, (j < k)%nat -> (f < d)%nat -> direction d (o j) f = direction d a f)
    by (intros; unfold direction; rewrite Ho, (norm_ext d (o j) a); auto).
  set (c := Sum k (fun j => if i =? j then 0 else 1)).
  assert (Eo : forall f, (f < d)%nat -> others k d o i f = c * direction d a f).
  { intros f Hf. unfold others, c. rewrite <- Sum_scal_r. apply Sum_ext. intros j Hj. destruct (i =? j); [ring|].
    rewrite Eu by auto. ring. }
  rewrite (dot_ext d (direction d (o i)) (others k d o i) (direction d a) (fun f => c * direction d a f)) by auto.
  rewrite dot_scal_r, direction_unit, Eo, Eu by auto. unfold Rdiv. ring.
Qed.
