(* Balancing losses: (B.3) to (B.6), (B.9), (B.14), (G.17). *)
Require Import Reals Lra Lia Arith Psatz.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient Softmax.
Open Scope R_scope.

Definition mean_probability T n (r : mat) : vec := fun i => Sum T (fun t => softmax n (r t) i) / INR T.
Definition switch n (f P : vec) := INR n * dot n f P.
Definition zloss T n (r : mat) := Sum T (fun t => logsumexp n (r t) * logsumexp n (r t)) / INR T.
Definition neg_entropy n (P : vec) := Sum n (fun i => P i * ln (P i)).

Lemma INR_pos n : (0 < n)%nat -> 0 < INR n.
Proof. intros. now apply lt_0_INR. Qed.

Lemma softmax_adjoint n (p a v : vec) :
  dot n a (fun i => p i * (v i - dot n p v)) = dot n (fun i => p i * (a i - dot n p a)) v.
Proof.
  unfold dot. rewrite (Sum_ext n (fun i => a i * (p i * (v i - Sum n (fun j => p j * v j))))
    (fun i => p i * a i * v i - p i * a i * Sum n (fun j => p j * v j))) by (intros; ring).
  rewrite (Sum_ext n (fun i => p i * (a i - Sum n (fun j => p j * a j)) * v i)
    (fun i => p i * a i * v i - Sum n (fun j => p j * a j) * (p i * v i))) by (intros; ring).
  rewrite !Sum_minus, Sum_scal, Sum_scal_r. ring.
Qed.

Theorem mean_probability_sum T n r : (0 < T)%nat -> (0 < n)%nat -> Sum n (mean_probability T n r) = 1.
Proof.
  intros HT Hn. unfold mean_probability. rewrite Sum_div, (Sum_swap n T (fun i t => softmax n (r t) i)).
  rewrite (Sum_ext T _ (fun _ => 1)), Sum_const by (intros; now apply softmax_sum).
  field. apply not_0_INR. lia.
Qed.

Lemma mean_probability_positive T n r i : (0 < T)%nat -> (0 < n)%nat -> 0 < mean_probability T n r i.
Proof.
  intros HT Hn. apply Rdiv_lt_0_compat; [|now apply INR_pos]. apply Sum_pos; auto. intros. now apply softmax_positive.
Qed.

Lemma mean_probability_ext T n r s i : (i < n)%nat ->
  (forall t j, (t < T)%nat -> (j < n)%nat -> r t j = s t j) -> mean_probability T n r i = mean_probability T n s i.
Proof. intros Hi H. unfold mean_probability. f_equal. apply Sum_ext. intros. apply softmax_ext; auto. Qed.

(* Any function of the mean probabilities: dr_ti = p_ti (dP_i - sum_l p_tl dP_l) / T *)
Theorem mean_probability_chain T n (G : vec -> R) r dP : (0 < n)%nat -> grad n G (mean_probability T n r) dP ->
  grad2 T n (fun y => G (mean_probability T n y)) r
    (fun t i => softmax n (r t) i * (dP i - dot n (softmax n (r t)) dP) / INR T).
Proof.
  intros Hn HG z v t Hz Hv. eapply d_eq.
  - apply (HG (fun u => mean_probability T n (z u))
      (fun i => / INR T * Sum T (fun k => softmax n (z t k) i * (v k i - dot n (softmax n (z t k)) (v k))))).
    + intros. apply mean_probability_ext; auto.
    + intros i Hi. unfold mean_probability.
      apply (d_ext (fun u => / INR T * Sum T (fun k => softmax n (z u k) i))); [intros; unfold Rdiv; ring|].
      apply (d_scal (fun u => Sum T (fun k => softmax n (z u k) i))).
      apply (d_sum T (fun u k => softmax n (z u k) i)). intros k Hk.
      exact (d_softmax n (fun u => z u k) (v k) t i Hi (fun j Hj => Hv k j Hk Hj)).
  - rewrite dot_scal_r. unfold dot2.
    rewrite (dot_sym n dP), (dot_Sum_l n T (fun k i => softmax n (z t k) i * (v k i - dot n (softmax n (z t k)) (v k))) dP).
    rewrite <- Sum_scal. apply Sum_ext. intros k Hk. rewrite dot_sym, softmax_adjoint.
    rewrite (dot_div_l n (INR T)). unfold Rdiv. rewrite Rmult_comm. f_equal. apply dot_ext; auto. intros i Hi.
    rewrite (softmax_ext n (z t k) (r k)) by auto. do 2 f_equal. apply dot_ext; auto. intros. apply softmax_ext; auto.
Qed.

(* dr_ti = (N/T) p_ti (f_i - sum_l p_tl f_l), the fractions f held constant *)
Theorem switch_gradient T n f r : (0 < n)%nat ->
  grad2 T n (fun y => switch n f (mean_probability T n y)) r
    (fun t i => INR n / INR T * (softmax n (r t) i * (f i - dot n (softmax n (r t)) f))).
Proof.
  intros Hn. eapply grad2_eq.
  - apply (mean_probability_chain T n (switch n f) r (fun i => INR n * f i)); auto.
    intros z v t Hz Hv. unfold switch. rewrite dot_scal_l. apply (d_scal (fun u => dot n f (z u))). eapply d_eq.
    + exact (d_dot n (fun _ => f) z (fun _ => 0) v t (fun i _ => d_const (f i) t) Hv).
    + rewrite dot_zero_l. ring.
  - intros t i Ht Hi. cbv beta. rewrite dot_scal_r. unfold Rdiv. ring.
Qed.

Theorem switch_upper n k f P : (0 < k)%nat -> (forall i, (i < n)%nat -> f i <= / INR k) ->
  (forall i, (i < n)%nat -> 0 <= P i) -> Sum n P = 1 -> switch n f P <= INR n / INR k.
Proof.
  intros Hk Hf HP HS. unfold switch, Rdiv. apply Rmult_le_compat_l; [apply pos_INR|].
  replace (/ INR k) with (Sum n (fun i => / INR k * P i)) by (rewrite Sum_scal, HS; ring).
  apply Sum_le. intros i Hi. specialize (Hf i Hi). specialize (HP i Hi). nra.
Qed.

Theorem switch_uniform n f P : (0 < n)%nat ->
  ((forall i, (i < n)%nat -> f i = / INR n) /\ Sum n P = 1) \/ ((forall i, (i < n)%nat -> P i = / INR n) /\ Sum n f = 1) ->
  switch n f P = 1.
Proof.
  intros Hn H. assert (Hp := INR_pos n Hn). unfold switch, dot. destruct H as [[H S]|[H S]].
  - rewrite (Sum_ext n _ (fun i => / INR n * P i)), Sum_scal, S by (intros; now rewrite H). field. lra.
  - rewrite (Sum_ext n _ (fun i => f i * / INR n)), Sum_scal_r, S by (intros; now rewrite H). field. lra.
Qed.

(* "L >= 1" is folklore: three tokens (1/2, 1/2) on expert 0, one token (0, 1) on expert 1. *)
Theorem switch_below_one :
  let p (t i : nat) := if (t <? 3)%nat then / 2 else if (i =? 0)%nat then 0 else 1 in
  let c (t : nat) := if (t <? 3)%nat then 0%nat else 1%nat in
  (forall t j, (t < 4)%nat -> (j < 2)%nat -> p t j <= p t (c t)) /\
  switch 2 (fun i => Sum 4 (fun t => delta (c t) i) / 4) (fun i => Sum 4 (fun t => p t i) / 4) = 7 / 8.
Proof.
  split.
  - intros t j Ht Hj. do 4 (destruct t as [|t]; [do 2 (destruct j as [|j]; [simpl; lra|]); lia|]). lia.
  - unfold switch, dot. simpl. unfold delta. simpl. field.
Qed.

(* For two experts and K = 1 that is the least value: tokens of expert 0 have p_0 >= 1/2, the others p_0 <= 1/2. *)
Theorem switch_two_experts T (p : vec) (first : nat -> bool) : (0 < T)%nat ->
  (forall t, (t < T)%nat -> if first t then / 2 <= p t <= 1 else 0 <= p t <= / 2) ->
  let f := Sum T (fun t => if first t then 1 else 0) / INR T in
  let P := Sum T p / INR T in
  7 / 8 <= switch 2 (fun i => if i =? 0 then f else 1 - f) (fun i => if i =? 0 then P else 1 - P).
Proof.
  intros HT Hp f P. assert (HI := INR_pos T HT).
  assert (Hf : 0 <= f <= 1).
  { unfold f. assert (0 <= Sum T (fun t => if first t then 1 else 0)) by (apply Sum_nonneg; intros; destruct first; lra).
    assert (Sum T (fun t => if first t then 1 else 0) <= INR T).
    { rewrite <- (Rmult_1_r (INR T)), <- (Sum_const T 1). apply Sum_le. intros. destruct first; lra. }
    split; [now apply Rdiv_le_0_compat|]. apply (Rmult_le_reg_r (INR T)); auto. unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra. }
  assert (HP : f / 2 <= P <= (1 + f) / 2).
  { replace (f / 2) with (Sum T (fun t => (if first t then 1 else 0) * / 2) / INR T)
      by (rewrite Sum_scal_r; unfold f, Rdiv; ring).
    replace ((1 + f) / 2) with (Sum T (fun t => (if first t then 1 else 0) * / 2 + / 2) / INR T)
      by (rewrite Sum_plus, Sum_scal_r, Sum_const; unfold f; field; lra).
    split; apply Rmult_le_compat_r; try (left; now apply Rinv_0_lt_compat); apply Sum_le; intros t Ht;
      specialize (Hp t Ht); destruct (first t); lra. }
  unfold switch, dot. simpl. destruct (Rle_lt_dec (/ 2) f) as [H|H].
  - assert (f / 2 * (2 * f - 1) <= P * (2 * f - 1)) by (apply Rmult_le_compat_r; lra).
    assert (0 <= (f - 3 / 4) * (f - 3 / 4)) by exact (Rle_0_sqr _). nra.
  - assert (P * (1 - 2 * f) <= (1 + f) / 2 * (1 - 2 * f)) by (apply Rmult_le_compat_r; lra).
    assert (0 <= (f - 1 / 4) * (f - 1 / 4)) by exact (Rle_0_sqr _). nra.
Qed.

(* dr_ti = (2 lse_t / T) p_ti *)
Theorem zloss_gradient T n r : (0 < n)%nat ->
  grad2 T n (zloss T n) r (fun t i => 2 * logsumexp n (r t) / INR T * softmax n (r t) i).
Proof.
  intros Hn. eapply grad2_eq.
  - intros z v t Hz Hv. unfold zloss.
    apply (d_ext (fun u => / INR T * Sum T (fun k => logsumexp n (z u k) * logsumexp n (z u k))));
      [intros; unfold Rdiv; ring|].
    refine (grad2_scal T n (/ INR T) (fun y => Sum T (fun k => logsumexp n (y k) * logsumexp n (y k))) r
      (fun k i => 2 * logsumexp n (r k) * softmax n (r k) i) _ z v t Hz Hv).
    apply (grad2_rows T n (fun _ y => logsumexp n y * logsumexp n y)). intros k Hk y w s Hy Hw.
    assert (E : logsumexp n (y s) = logsumexp n (r k)) by (unfold logsumexp, expsum; f_equal; apply Sum_ext; intros; f_equal; auto).
    assert (D := logsumexp_gradient n (r k) Hn y w s Hy Hw). eapply d_eq.
    + exact (d_mult (fun u => logsumexp n (y u)) (fun u => logsumexp n (y u)) s _ _ D D).
    + cbv beta. rewrite E, dot_scal_l. ring.
  - intros t i _ _. cbv beta. unfold Rdiv. ring.
Qed.

(* Squared coefficient of variation; nn is N (population) or N - 1. *)
Definition mean n (v : vec) := Sum n v / INR n.
Definition variance n (nn : R) (v : vec) := Sum n (fun i => (v i - mean n v) * (v i - mean n v)) / nn.
Definition cv2 n nn eps (v : vec) := variance n nn v / (mean n v * mean n v + eps).

Lemma sum_deviation n v : (0 < n)%nat -> Sum n (fun i => v i - mean n v) = 0.
Proof. intros Hn. assert (H := INR_pos n Hn). rewrite Sum_minus, Sum_const. unfold mean. field. lra. Qed.

Lemma d_mean n (z : R -> vec) v t : (forall i, (i < n)%nat -> is_derive (fun u => z u i) t (v i)) ->
  is_derive (fun u => mean n (z u)) t (mean n v).
Proof.
  intros Hv. unfold mean. apply (d_ext (fun u => / INR n * Sum n (z u))); [intros; unfold Rdiv; ring|].
  eapply d_eq; [apply (d_scal (fun u => Sum n (z u))); exact (d_sum n z v t Hv)|]. unfold Rdiv. ring.
Qed.

(* With D = m^2 + eps: dv_i = 2 (v_i - m) / (nn D) - (Var / D) 2 m / (N D) *)
Theorem cv2_gradient n nn eps v : (0 < n)%nat -> nn <> 0 -> mean n v * mean n v + eps <> 0 ->
  let m := mean n v in let D := m * m + eps in
  grad n (cv2 n nn eps) v (fun i => 2 / (nn * D) * (v i - m) - variance n nn v / D * (2 * m / (INR n * D))).
Proof.
  intros Hn Hnn HD m D z w t Hz Hw. assert (Hp := INR_pos n Hn).
  assert (Em : mean n (z t) = m) by (unfold m, mean; f_equal; apply Sum_ext; auto).
  assert (Dm := d_mean n z w t Hw).
  assert (Dv : is_derive (fun u => variance n nn (z u)) t (2 / nn * dot n (fun i => v i - m) w)).
  { unfold variance. apply (d_ext (fun u => / nn * Sum n (fun i => (z u i - mean n (z u)) * (z u i - mean n (z u)))));
      [intros; unfold Rdiv; ring|]. eapply d_eq.
    - apply (d_scal (fun u => Sum n (fun i => (z u i - mean n (z u)) * (z u i - mean n (z u))))).
      apply (d_sum n (fun u i => (z u i - mean n (z u)) * (z u i - mean n (z u)))
        (fun i => 2 * ((v i - m) * (w i - mean n w)))). intros i Hi.
      assert (Dd := d_minus (fun u => z u i) (fun u => mean n (z u)) t _ _ (Hw i Hi) Dm). eapply d_eq.
      + exact (d_mult (fun u => z u i - mean n (z u)) (fun u => z u i - mean n (z u)) t _ _ Dd Dd).
      + cbv beta. rewrite Em, (Hz i Hi). ring.
    - rewrite Sum_scal. rewrite (Sum_ext n _ (fun i => (v i - m) * w i - (v i - m) * mean n w)) by (intros; ring).
      rewrite Sum_minus, Sum_scal_r. unfold m at 2. rewrite sum_deviation by auto. unfold dot, Rdiv. ring. }
  eapply d_eq.
  - apply (d_div (fun u => variance n nn (z u)) (fun u => mean n (z u) * mean n (z u) + eps)); [exact Dv| |rewrite Em; exact HD].
    apply (d_plus (fun u => mean n (z u) * mean n (z u)) (fun _ => eps)); [|apply d_const].
    exact (d_mult (fun u => mean n (z u)) (fun u => mean n (z u)) t _ _ Dm Dm).
  - cbv beta. rewrite Em. fold D. replace (variance n nn (z t)) with (variance n nn v)
      by (unfold variance; f_equal; apply Sum_ext; intros; rewrite Em, Hz; auto).
    rewrite (dot_minus_l n (fun i => 2 / (nn * D) * (v i - m))), (dot_scal_l n (2 / (nn * D))).
    set (a := dot n (fun i => v i - m) w). unfold dot. rewrite Sum_scal. unfold mean. field. repeat split; auto; lra.
Qed.

Theorem cv2_range n v : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 <= v i) -> mean n v <> 0 ->
  0 <= cv2 n (INR n) 0 v <= INR n - 1.
Proof.
  intros Hn Hv Hm. assert (Hp := INR_pos n Hn). unfold cv2.
  assert (Hmm : 0 < mean n v * mean n v + 0) by nra.
  assert (HV : 0 <= variance n (INR n) v).
  { apply Rdiv_le_0_compat; auto. apply Sum_nonneg. intros. exact (Rle_0_sqr _). }
  split; [now apply Rdiv_le_0_compat|].
  apply (Rmult_le_reg_r (mean n v * mean n v + 0)); auto.
  replace (variance n (INR n) v / (mean n v * mean n v + 0) * (mean n v * mean n v + 0)) with (variance n (INR n) v)
    by (field; lra).
  replace (variance n (INR n) v) with (dot n v v / INR n - mean n v * mean n v).
  - assert (B : dot n v v <= Sum n v * Sum n v).
    { rewrite <- (Sum_scal_r n (Sum n v) v). apply Sum_le. intros i Hi. apply Rmult_le_compat_l; auto. now apply Sum_ge_term. }
    replace (Sum n v) with (INR n * mean n v) in B by (unfold mean; field; lra).
    assert (dot n v v / INR n <= INR n * (mean n v * mean n v)); [|lra].
    apply (Rmult_le_reg_r (INR n)); auto. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. lra.
  - unfold variance. rewrite (Sum_ext n (fun i => (v i - mean n v) * (v i - mean n v))
      (fun i => v i * v i - v i * (2 * mean n v) + mean n v * mean n v)) by (intros; ring).
    rewrite Sum_plus, Sum_minus, Sum_scal_r, Sum_const. fold (dot n v v).
    replace (Sum n v) with (INR n * mean n v) by (unfold mean; field; lra). field. lra.
Qed.

(* dr_ti = p_ti (ln P_i - sum_l p_tl ln P_l) / T *)
Theorem entropy_gradient T n r : (0 < T)%nat -> (0 < n)%nat ->
  let P := mean_probability T n r in
  grad2 T n (fun y => neg_entropy n (mean_probability T n y)) r
    (fun t i => softmax n (r t) i * (ln (P i) - dot n (softmax n (r t)) (fun l => ln (P l))) / INR T).
Proof.
  intros HT Hn P. eapply grad2_eq.
  - apply (mean_probability_chain T n (neg_entropy n) r (fun i => ln (P i) + 1)); auto.
    intros z v t Hz Hv. eapply d_eq.
    + apply (d_sum n (fun u i => z u i * ln (z u i)) (fun i => (ln (P i) + 1) * v i)). intros i Hi.
      assert (Hpos : 0 < z t i) by (rewrite Hz by auto; now apply mean_probability_positive). eapply d_eq.
      * apply (d_mult (fun u => z u i) (fun u => ln (z u i))); [exact (Hv i Hi)|].
        exact (d_ln (fun u => z u i) t (v i) (Hv i Hi) Hpos).
      * cbv beta. unfold P. rewrite <- (Hz i Hi). field. lra.
    + reflexivity.
  - intros t i Ht Hi. cbv beta. rewrite dot_plus_r. unfold dot at 2. rewrite Sum_scal_r, softmax_sum by auto.
    f_equal. ring.
Qed.

Theorem entropy_bounds n P : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 < P i) -> Sum n P = 1 ->
  - ln (INR n) <= neg_entropy n P <= 0.
Proof.
  intros Hn HP HS. assert (Hp := INR_pos n Hn). split.
  - assert (B : Sum n (fun i => P i * (- ln (INR n) - ln (P i))) <= Sum n (fun i => / INR n - P i)).
    { apply Sum_le. intros i Hi. specialize (HP i Hi).
      assert (L := exp_ineq1_le (- ln (INR n) - ln (P i))).
      unfold Rminus in L at 2. rewrite exp_plus, !exp_Ropp, !exp_ln in L by auto.
      assert (P i * (1 + (- ln (INR n) - ln (P i))) <= P i * (/ INR n * / P i)) by (apply Rmult_le_compat_l; lra).
      replace (P i * (/ INR n * / P i)) with (/ INR n) in H by (field; lra). lra. }
    rewrite (Sum_ext n _ (fun i => P i * - ln (INR n) - P i * ln (P i))) in B by (intros; ring).
    rewrite !Sum_minus, Sum_scal_r, HS, Sum_const in B. replace (INR n * / INR n - 1) with 0 in B by (field; lra).
    unfold neg_entropy. lra.
  - rewrite <- (Sum_zero n). apply Sum_le. intros i Hi. specialize (HP i Hi) as H.
    assert (P i <= 1) by (rewrite <- HS; apply Sum_ge_term; auto; intros; left; auto).
    assert (ln (P i) <= 0) by (rewrite <- ln_1; apply ln_le; lra). nra.
Qed.
